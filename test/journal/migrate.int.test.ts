import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { printMigrations } from '../../src/journal/migrate.ts'
import { useJournals } from './journals.ts'

const journals = useJournals()
/** A tool of the machine, not of this project. */
const psql = 'psql'

test('migrations run once, however many replicas open at the same time', async () => {
  const { open, sql } = journals()
  await Promise.all([open(), open(), open(), open()])
  expect(await sql('select number from S.migration order by number')).toEqual([
    { number: 1 },
    { number: 2 },
    { number: 3 },
    { number: 4 },
    { number: 5 },
  ])
})

test('opening again changes nothing and needs no right to migrate', async () => {
  const { open, sql } = journals()
  const first = await open()
  await first.enqueue('orders', { type: 'order.created', data: 1 })
  await open({ migrate: false })
  expect(await sql('select type from S.event')).toEqual([{ type: 'order.created' }])
})

test('a schema that is older is refused where migrating is not allowed', async () => {
  const { create } = journals()
  await expect(create({ migrate: false }).open()).rejects.toMatchObject({ code: 'JOURNAL_OUTDATED' })
})

test('a schema that is newer than the code is refused', async () => {
  const { open, create, sql } = journals()
  await open()
  await sql(`insert into S.migration (number, name) values (9999, 'from the future')`)
  await expect(create().open()).rejects.toMatchObject({ code: 'JOURNAL_TOO_NEW' })
})

test('what is printed brings a schema up to date, and may be run twice', async () => {
  const { schema, sql, open } = journals()
  await sql(printMigrations(schema))
  await sql(printMigrations(schema))
  const replica = await open({ migrate: false })
  expect(await replica.enqueue('orders', { type: 'order.created', data: null })).toBeDefined()
})

test('what is printed runs with psql', async ({ skip }) => {
  const { schema, url, sql } = journals()
  try {
    execFileSync(psql, ['--version'], { stdio: 'ignore' })
  } catch {
    skip('psql is not installed')
  }
  execFileSync(psql, [url, '-q', '-v', 'ON_ERROR_STOP=1'], {
    input: printMigrations(schema),
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  expect(await sql('select number from S.migration order by number')).toEqual([
    { number: 1 },
    { number: 2 },
    { number: 3 },
    { number: 4 },
    { number: 5 },
  ])
})

test('a schema name that would need quoting is refused before any connection', () => {
  for (const schema of ['Koksmat', 'a b', '1a', `a'; drop`, '', 'a'.repeat(41)]) {
    expect(() => journals().create({ schema })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  }
})
