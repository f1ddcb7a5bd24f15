import { describe, expect, test } from 'vitest'
import type { PollOptions } from '../../actors/poll.ts'
import type { Queryable } from '../../machines/journal.ts'
import { until } from '../support/until.ts'
import { type patient, pollHarness, quick, randomName } from './poll.harness.ts'

const harness = pollHarness()
const { journal, start, events, schema, intake } = harness

/** A table in the journal's own database. */
const createTable = async (rows = 0): Promise<string> => {
  const table = randomName('invoices')
  await journal.query(
    `create table ${table} (id bigint generated always as identity primary key, status text not null default 'new',
      note text, changed timestamptz not null default now())`,
  )
  await insert(table, rows)
  return table
}

const insert = (table: string, rows: number) =>
  journal.query(`insert into ${table} (note) select 'row ' || n from generate_series(1, $1::int) n`, [rows])

const statuses = async (table: string): Promise<Record<string, number>> => {
  const { rows } = await journal.query<{ status: string; count: number }>(
    `select status, count(*)::int from ${table} group by status`,
  )
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
}

const marking = (table: string, common: typeof quick | typeof patient = quick): PollOptions => ({
  ...common,
  mode: 'trigger',
  table,
  key: 'id',
  where: `${table}.status = 'new' -- ours`,
  take: { mark: { status: 'seen' } },
})

describe('mark', () => {
  test('a page costs its rows and not the table: nothing reads the table from end to end', async () => {
    const table = await createTable()
    // What it reads itself is counted for its connection, which nobody uses after it.
    const own = await journal.connect()
    await own.query(
      `insert into ${table} (status) select case when n > 1000 then 'old' else 'new' end from generate_series(1, 20000) n`,
    )
    await own.query(`create index on ${table} (id) where status = 'new'`)
    await own.query(`vacuum analyze ${table}`)
    own.release(true)
    const read: number[] = []
    const beforeCommit = async (tx: Queryable) => {
      const { rows } = await tx.query<{ whole: number }>(
        `select seq_tup_read::int as whole from pg_stat_xact_user_tables where relid = $1::regclass`,
        [table],
      )
      read.push(...rows.map(({ whole }) => whole))
    }
    const poller = await start(marking(table), { credit: 500, intake: await intake({ beforeCommit }) })
    await poller.ids(1_000)
    expect(read.length).toBeGreaterThan(0)
    expect(read.filter((whole) => whole > 0)).toEqual([])
  })

  test('each matching row becomes one event that shows it as it was, and is marked in the same commit', async () => {
    const table = await createTable(3)
    await journal.query(`insert into ${table} (status) values ('old')`)
    const poller = await start(marking(table), { hold: true })
    await poller.ids(3)
    expect(await statuses(table)).toEqual({ seen: 3, old: 1 })
    expect(poller.deliveries.map(({ event }) => event.data)).toMatchObject([
      { id: 1, status: 'new', note: 'row 1' },
      { id: 2, status: 'new', note: 'row 2' },
      { id: 3, status: 'new', note: 'row 3' },
    ])
    const [first] = poller.deliveries
    expect(first).toMatchObject({
      event: {
        source: `koksmat:${poller.source}`,
        type: 'row.seen',
        kind: 'database.trigger',
        via: poller.source,
        partitionkey: '1',
        identified: true,
      },
      redelivered: false,
    })
    expect(first?.event.id).toMatch(/^1@\d+$/)
    const stored = await events(poller.source)
    expect(stored.map(({ seq, state }) => [seq, state])).toEqual(
      poller.deliveries.map(({ row }) => [row?.seq, 'leased']),
    )
  })

  test('a row that is marked new again later is a new event', async () => {
    const table = await createTable(1)
    const poller = await start(marking(table))
    await poller.ids(1)
    await until(async () => (await events(poller.source)).length === 0)
    await journal.query(`update ${table} set status = 'new'`)
    const [first, second] = await poller.ids(2)
    expect(first).not.toBe(second)
  })

  test('while an event of a key is not settled, the next one of that key waits and holds up nobody else', async () => {
    const table = await createTable(1)
    const poller = await start(marking(table), { hold: true, credit: 4 })
    await poller.ids(1)
    await journal.query(`update ${table} set status = 'new'`)
    await insert(table, 2)
    await poller.ids(3)
    expect(poller.deliveries.map(({ event }) => event.partitionkey)).toEqual(['1', '2', '3'])
    await poller.done(poller.deliveries.slice(0, 1))
    await poller.ids(4)
    expect(poller.deliveries[3]?.event.partitionkey).toBe('1')
  })

  test('a parked event holds up nothing', async () => {
    const table = await createTable(1)
    const poller = await start(marking(table), { hold: true })
    await poller.ids(1)
    await journal.query(`update ${schema}.event set state = 'parked' where via = $1`, [poller.source])
    await journal.query(`update ${table} set status = 'new'`)
    expect(await poller.ids(2)).toHaveLength(2)
  })

  test('a row whose version was handled already is marked without a second event', async () => {
    const table = await createTable(1)
    const source = randomName('source')
    await journal.query(
      `insert into ${schema}.seen (ce_source, id, until) select 'koksmat:${source}', id || '@' || xmin, 'infinity' from ${table}`,
    )
    const poller = await start(marking(table), { source })
    await until(async () => (await statuses(table))['seen'] === 1)
    expect(poller.deliveries).toEqual([])
  })

  test('a mark that leaves the row matching is refused, and nothing is picked', async () => {
    const table = await createTable(1)
    const poller = await start({ ...marking(table), take: { mark: { note: 'taken' } } } as PollOptions)
    await until(() => poller.losses.length === 1)
    expect(poller.losses[0]).toMatchObject({ code: 'SOURCE_UNUSABLE' })
    expect(poller.losses[0]?.message).toContain('picked for ever')
    expect(await events(poller.source)).toEqual([])
  })

  test('a row locked by somebody else is left for later and holds up nobody', async () => {
    const table = await createTable(2)
    const client = await journal.connect()
    await client.query(`begin; select from ${table} where id = 1 for update`)
    const poller = await start(marking(table))
    await poller.ids(1)
    expect(poller.deliveries[0]?.event.partitionkey).toBe('2')
    await client.query('commit')
    client.release()
    await poller.ids(2)
  })
})

describe('other ways to tell a taken row', () => {
  test('delete: the row is gone with the commit that brings its event', async () => {
    const table = await createTable(3)
    const poller = await start({ ...quick, mode: 'trigger', table, key: 'id', take: { delete: true } }, { hold: true })
    await poller.ids(3)
    expect(await statuses(table)).toEqual({})
    expect(await events(poller.source)).toHaveLength(3)
  })

  test('track: a row nobody may alter is an event once, and again when its version changes', async () => {
    const table = await createTable(2)
    const take = { track: { version: 'changed' } }
    const options: PollOptions = { ...quick, mode: 'trigger', table, key: 'id', columns: ['id', 'note'], take }
    const poller = await start(options)
    await poller.ids(2)
    expect(poller.deliveries[0]?.event.data).toEqual({ id: 1, note: 'row 1' })
    await journal.query(`update ${table} set note = 'other', changed = '2030-01-01 00:00:00+00' where id = 2`)
    const ids = await poller.ids(3)
    expect(ids[2]).toBe('2@2030-01-01 00:00:00+00')
    await poller.link.disconnect()

    const again = await start(options, { source: poller.source })
    await insert(table, 1)
    await again.ids(1)
    expect(again.deliveries.map(({ event }) => event.partitionkey)).toEqual(['3'])
  })

  test('the type may be told from the row; a row it cannot be told from is delivered with its defect', async () => {
    const table = await createTable(2)
    const type = (row: Record<string, unknown>): string => {
      if (row['id'] === 2) throw new Error('no type for 2')
      return `invoice.${row['status']}`
    }
    const poller = await start({ ...marking(table), type }, { hold: true })
    await poller.ids(2)
    expect(poller.deliveries.map(({ event }) => event.type)).toEqual(['invoice.new', 'unreadable'])
    expect(poller.deliveries[1]?.defect?.error.code).toBe('EVENT_MALFORMED')
    expect((await events(poller.source)).map(({ type }) => type)).toEqual(['invoice.new', 'unreadable'])
  })

  test('names are taken as they are stored, whatever they hold', async () => {
    const name = randomName('Odd "Schema')
    await journal.query(`create schema "${name.replaceAll('"', '""')}"`)
    const table = `${name}.Order Lines`
    const quoted = `"${name.replaceAll('"', '""')}"."Order Lines"`
    await journal.query(`create table ${quoted} ("The Key" text primary key, "koks""mat" text, version int)`)
    await journal.query(`insert into ${quoted} values ('it''s', 'x', 1)`)
    const poller = await start({
      ...quick,
      mode: 'trigger',
      table,
      key: 'The Key',
      where: `"koks""mat" = 'x'`,
      take: { mark: { 'koks"mat': null } },
    })
    await poller.ids(1)
    expect(poller.deliveries[0]?.event.data).toEqual({ 'The Key': "it's", 'koks"mat': 'x', version: 1 })
  })

  test('partitioned tables are picked from like others', async () => {
    const table = randomName('parts')
    await journal.query(`create table ${table} (id int primary key, status text) partition by range (id)`)
    await journal.query(`create table ${table}_1 partition of ${table} for values from (0) to (10)`)
    await journal.query(`create table ${table}_2 partition of ${table} for values from (10) to (20)`)
    await journal.query(`insert into ${table} values (1, 'new'), (11, 'new')`)
    const poller = await start(marking(table))
    await poller.ids(2)
    expect(await statuses(table)).toEqual({ seen: 2 })
  })
})
