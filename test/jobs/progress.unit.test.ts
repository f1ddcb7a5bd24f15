import { expect, test } from 'vitest'
import { progressOf } from '../../src/jobs/progress.ts'
import { unshowable } from '../inspector/unshowable.ts'

test.each([
  ['nothing', undefined, {}],
  ['a share', 0.5, { progress: 0.5 }],
  ['an object', { done: 3, total: 12, at: undefined }, { progress: { done: 3, total: 12 } }],
  ['a date', new Date(0), { progress: '1970-01-01T00:00:00.000Z' }],
  ['a big number', 1n, { progress: expect.stringMatching(/^not JSON: .*BigInt/) }],
  ['a function', () => 1, { progress: 'not JSON: a function' }],
  ['what cannot be shown', unshowable(), { progress: expect.stringMatching(/^not JSON: /) }],
  ['more than there is room for', 'x'.repeat(5_000), { progress: `"${'x'.repeat(4_095)}…` }],
])('%s is told as progress', (_, said, told) => {
  expect(progressOf(said)).toEqual(told)
})
