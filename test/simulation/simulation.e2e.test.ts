import { describe, expect, test } from 'vitest'
import { mutants } from './mutants.ts'
import { simulate, traceOf } from './simulate.ts'

test('a seed replays to the same trace', async () => {
  const [first, second, other] = await Promise.all([traceOf(7), traceOf(7), traceOf(8)])
  expect(first.split('\n').length).toBeGreaterThan(50)
  expect(second).toBe(first)
  expect(other).not.toBe(first)
})

test('the trace of a seed does not depend on what ran before it in its process', async () => {
  const alone = await simulate('--seeds', '12', '--workers', '3')
  const oneAfterTheOther = await simulate('--seeds', '12', '--workers', '1')
  expect(oneAfterTheOther.summary.digest).toBe(alone.summary.digest)
})

describe('a product that is broken on purpose is found', () => {
  test.each(Object.keys(mutants))('%s', async (mutant) => {
    const { summary, output } = await simulate('--seeds', '1000', '--mutant', mutant)
    expect(summary.failed.length, output).toBeGreaterThan(0)
    expect(output).toMatch(/^seed \d+ fails:$/m)
  })
})
