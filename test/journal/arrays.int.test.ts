import fc from 'fast-check'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { arrayLiteral } from '../../src/journal/arrays.ts'

const client = new Client({ connectionString: inject('databaseUrl') })
beforeAll(() => client.connect())
afterAll(() => client.end())

const readBack = async (type: string, values: readonly unknown[]): Promise<unknown> => {
  const { rows } = await client.query(`select to_json($1::${type}[]) as it`, [arrayLiteral(values)])
  return rows[0]?.it
}

test('Postgres reads each array of texts as it was, whatever is in them', async () => {
  // Postgres has no U+0000; lone surrogates are no UTF-8.
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom('"', '\\', '{', '}', ',', ' ', 'NULL') }),
    fc.constantFrom('', 'NULL', 'null', '{}', '","', '\\', '\\\\"', ' a ', 'é\n\t', '\u2028'),
  )
  const texts = fc.array(fc.option(text.filter((value) => !value.includes('\0') && value.isWellFormed())))
  await fc.assert(
    fc.asyncProperty(texts, async (values) => {
      expect(await readBack('text', values)).toEqual(values)
    }),
    { numRuns: 300 },
  )
})

test('and arrays of numbers and booleans', async () => {
  expect(await readBack('bigint', [1, -2, undefined, null, 2 ** 40])).toEqual([1, -2, null, null, 2 ** 40])
  expect(await readBack('bigint', [9_007_199_254_740_991n, 0n])).toEqual([9_007_199_254_740_991, 0])
  expect(await readBack('float8', [0.1, 1e300, -0.5])).toEqual([0.1, 1e300, -0.5])
  expect(await readBack('boolean', [true, false, null])).toEqual([true, false, null])
  expect(await readBack('text', [])).toEqual([])
})

test('anything else is left to pg', () => {
  for (const value of ['{}', 7, null, undefined, [['nested']], [{ a: 1 }], [new Date(0)], [Buffer.from('b')]]) {
    expect(arrayLiteral(value)).toBe(value)
  }
})
