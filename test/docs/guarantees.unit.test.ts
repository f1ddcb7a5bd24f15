import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const promises = [...readme.matchAll(/^\| (.+) \| `(test\/[^`]+)` \|$/gm)]

test('the README names its guarantees', () => {
  expect(promises.length).toBeGreaterThan(10)
})

test.each(promises.map(([, sentence, file]) => ({ sentence, file })))(
  'the README’s guarantee is a test of that name: $sentence',
  ({ sentence, file }) => {
    const source = readFileSync(join(root, String(file)), 'utf8')
    const names = [...source.matchAll(/\b(?:it|test|row)\(\s*(?:\d+,\s*)?(['"`])(.*?)\1/g)].map(([, , name]) => name)
    expect(names).toContain(sentence)
  },
)
