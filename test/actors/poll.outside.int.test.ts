import { describe, expect, test } from 'vitest'
import type { PollOptions } from '../../actors/poll.ts'
import { until } from '../support/until.ts'
import { killSessions, type patient, pollHarness, quick, randomName } from './poll.harness.ts'

const harness = pollHarness()
const { journal, other, otherUrl, schema, start, events, intake } = harness

/** A table in a database that is not the journal's. */
const createTable = async (rows: number, name = 'invoices'): Promise<string> => {
  const table = randomName(name)
  await other.query(
    `create table ${table} (id text primary key, status text not null default 'new', version int not null default 1)`,
  )
  await other.query(
    `insert into ${table} (id) select 'k' || lpad(n::text, 5, '0') from generate_series(1, $1::int) n`,
    [rows],
  )
  return table
}

const marking = (table: string, common: typeof quick | typeof patient = quick): PollOptions => ({
  ...common,
  mode: 'trigger',
  url: otherUrl,
  table,
  key: 'id',
  where: `status = 'new'`,
  take: { mark: { status: 'seen' } },
})

const tracking = (table: string): PollOptions => ({
  ...quick,
  mode: 'trigger',
  url: otherUrl,
  table,
  key: 'id',
  take: { track: { version: 'version' } },
})

const count = async (table: string, where = 'true'): Promise<number> =>
  (await other.query<{ count: number }>(`select count(*)::int from ${table} where ${where}`)).rows[0]?.count ?? -1

const claims = async (source: string): Promise<number> =>
  (await journal.query<{ key: string }>(`select key from ${schema}.tracked where source = $1`, [source])).rows.length

describe('rows of another database', () => {
  test('mark: each row is marked there and is one event here', async () => {
    const table = await createTable(250)
    const poller = await start(marking(table))
    const ids = await poller.ids(250)
    expect(new Set(ids).size).toBe(250)
    await until(async () => (await count(table, `status = 'seen'`)) === 250)
  })

  test('delete: each row is gone there and is one event here', async () => {
    const table = await createTable(3)
    const poller = await start({ ...marking(table), take: { delete: true } } as PollOptions)
    await poller.ids(3)
    await until(async () => (await count(table)) === 0)
  })

  test('the claims of rows whose marks are committed are forgotten', async () => {
    const table = await createTable(5)
    const poller = await start(marking(table))
    await poller.ids(5)
    await until(async () => (await claims(poller.source)) === 0)
  })

  test('one key is handled in order: its next version waits while the first is not settled', async () => {
    const table = await createTable(1)
    const poller = await start(marking(table), { hold: true })
    await poller.ids(1)
    await until(async () => (await count(table, `status = 'seen'`)) === 1)
    await other.query(`update ${table} set status = 'new'`)
    await other.query(`insert into ${table} (id) values ('z')`)
    await poller.ids(2)
    expect(poller.deliveries[1]?.event.partitionkey).toBe('z')
    await poller.done(poller.deliveries)
    await poller.ids(3)
    expect(poller.deliveries[2]?.event.partitionkey).toBe('k00001')
  })
})

describe('a crash between the two commits', () => {
  test('killing the session that marks makes no second event, even when the first is handled and gone', async () => {
    const table = await createTable(4)
    let killed = 0
    const broken = await intake({
      afterCommit: async () => {
        if (killed === 0 && (await claims(source)) > 0) killed = await killSessions(otherUrl, `%${table}%`)
      },
    })
    const source = randomName('source')
    const poller = await start(marking(table), { source, intake: broken, hold: true })
    await until(() => poller.losses.length === 1)
    await until(() => killed > 0)
    expect(await count(table, `status = 'new'`)).toBe(4)
    expect(await events(source)).toHaveLength(4)

    await journal.query(`delete from ${schema}.event where via = $1`, [source])
    await poller.reconnect()
    await until(async () => (await count(table, `status = 'seen'`)) === 4)
    expect(await events(source)).toEqual([])
    expect(poller.deliveries).toEqual([])
    await until(async () => (await claims(source)) === 0)
  })

  test('events whose marks failed are delivered by the next connection, once', async () => {
    const table = await createTable(2)
    let broke = false
    const broken = await intake({
      afterCommit: async () => {
        if (!broke && (await claims(source)) > 0) broke = (await killSessions(otherUrl, `%${table}%`)) > 0
      },
    })
    const source = randomName('source')
    const poller = await start(marking(table), { source, intake: broken })
    await until(() => poller.losses.length === 1)
    await poller.reconnect()
    await poller.ids(2)
    await until(async () => (await count(table, `status = 'seen'`)) === 2)
    await other.query(`insert into ${table} (id) values ('z')`)
    expect((await poller.ids(3)).map((id) => id.split('@')[0])).toEqual(['k00001', 'k00002', 'z'])
  })

  test('when the journal does not commit, the rows stay unmarked and come again under the same ids', async () => {
    const table = await createTable(2)
    const seen: string[][] = []
    const broken = await intake({
      beforeCommit: async (tx) => {
        const { rows } = await tx.query<{ id: string }>(`select id from ${schema}.event where via = $1 order by seq`, [
          source,
        ])
        if (rows.length === 0) return
        seen.push(rows.map(({ id }) => id))
        if (seen.length === 1) throw new Error('no commit')
      },
    })
    const source = randomName('source')
    const poller = await start(marking(table), { source, intake: broken, hold: true })
    await until(() => poller.losses.length === 1)
    expect(await count(table, `status = 'new'`)).toBe(2)
    await poller.reconnect()
    expect(await poller.ids(2)).toEqual(seen[0])
  })
})

describe('track in another database', () => {
  test('a table longer than a chunk is swept whole, and nothing is told twice', async () => {
    const table = await createTable(2_300)
    const poller = await start(tracking(table), { credit: 700 })
    expect(new Set(await poller.ids(2_300)).size).toBe(2_300)
    await other.query(`update ${table} set version = 2 where id in ('k00007', 'k02222')`)
    const ids = await poller.ids(2_302)
    expect(ids.slice(2_300).sort()).toEqual(['k00007@2', 'k02222@2'])
  })

  test('a restart tells only what is new', async () => {
    const table = await createTable(3)
    const poller = await start(tracking(table))
    await poller.ids(3)
    await poller.link.disconnect()
    await other.query(`insert into ${table} (id) values ('z')`)
    const again = await start(tracking(table), { source: poller.source })
    expect(await again.ids(1)).toEqual(['z@1'])
  })
})
