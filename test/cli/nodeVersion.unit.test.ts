import { expect, test } from 'vitest'
import { checkNode } from '../../src/cli/nodeVersion.ts'

test('a Node that is too old is told by its number', () => {
  expect(() => checkNode('20.20.2')).toThrow('This needs Node.js 24 or newer, and is run by 20.20.2.')
  expect(() => checkNode('24.0.0')).not.toThrow()
  expect(() => checkNode('100.1.0')).not.toThrow()
})
