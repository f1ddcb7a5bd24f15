import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { errorCodes } from '../../machines/errors.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../docs/errors.md'), 'utf8')
const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$/gm)].map(([, code, meaning, remedy]) => ({
  code,
  meaning,
  remedy,
}))

test('the table of errors has every code of the program and no other, in the same order and words', () => {
  expect(rows.map(({ code, meaning }) => [code, meaning])).toEqual(Object.entries(errorCodes))
})

test.each(rows)('$code has a remedy', ({ remedy }) => expect(remedy?.length).toBeGreaterThan(20))
