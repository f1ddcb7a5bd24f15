import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type FaultResult, page } from '../faults/table.ts'

/** The table of the last fault run, and what the README says of it. */
const root = join(import.meta.dirname, '..', '..')
const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8')
const results: readonly FaultResult[] = JSON.parse(read('docs', 'faults.json'))

const resultOf = (row: number, begins: string): FaultResult | undefined =>
  results.find((result) => result.row === row && result.fault.startsWith(begins))

test('a result in the table is that of a row that there is', () => {
  const sources = readdirSync(join(root, 'test', 'faults')).map((file) => read('test', 'faults', file))
  const rows = sources.flatMap((source) =>
    [...source.matchAll(/\brow\(\s*(\d+),/g)].map(([, number]) => Number(number)),
  )
  expect(rows.length).toBeGreaterThan(30)
  expect(results.filter(({ row }) => !rows.includes(row))).toEqual([])
  expect(results.length).toBeGreaterThan(30)
})

test('the readable table is that of the JSON', () => {
  expect(read('docs', 'faults.md')).toBe(page(results))
})

test('the README quotes the table', () => {
  const kills = resultOf(4, 'SIGKILL loop')?.measured ?? {}
  const deploys = resultOf(34, 'rolling deploys')?.measured ?? {}
  const told = (figure: unknown): string => Number(figure).toLocaleString('en')
  const readme = read('README.md').replaceAll(/\s+/g, ' ')
  expect(kills).toMatchObject({ lost: 0, unexpected: 0, duplicateEffects: 0 })
  expect(readme).toContain(
    `lost 0, unexpected 0, duplicate effects 0 over ${told(kills['kills'])} kills and ${told(kills['acked'])} events`,
  )
  expect(readme).toContain(
    `${told(deploys['deploys'])} rolling deploys, ${told(deploys['answered_202'])} requests, none failed`,
  )
})
