import { describe, expect, test } from 'vitest'
import type { PollOptions } from '../../actors/poll.ts'
import { until } from '../support/until.ts'
import { pollHarness, quick, randomName } from './poll.harness.ts'

const harness = pollHarness()
const { journal, other, otherUrl, schema, start, events, intake } = harness

const databases = [
  ['the journal’s own database', journal, undefined],
  ['another database', other, otherUrl],
] as const

describe.each(databases)('conditions in %s', (_name, db, url) => {
  const createStock = async (): Promise<string> => {
    const table = randomName('stock')
    await db.query(`create table ${table} (sku text primary key, amount int not null)`)
    return table
  }
  const low = (table: string, more: { clears?: string; everyMs?: number } = {}): PollOptions => ({
    ...quick,
    type: 'stock.low',
    mode: 'condition',
    query: `select sku as key, amount from ${table} where amount < 5 order by sku; `,
    ...(url === undefined ? {} : { url }),
    ...more,
  })
  const types = (poller: { deliveries: readonly { event: { type: string; partitionkey?: string } }[] }) =>
    poller.deliveries.map(({ event }) => `${event.partitionkey} ${event.type}`)

  test('a key that appears is one event, and one more after it was gone', async () => {
    const table = await createStock()
    await db.query(`insert into ${table} values ('a', 1), ('b', 9)`)
    const poller = await start(low(table))
    await poller.ids(1)
    expect(poller.deliveries[0]?.event).toMatchObject({ type: 'stock.low', data: { key: 'a', amount: 1 } })
    expect(poller.deliveries[0]?.event.id).toMatch(/^a@\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    await db.query(`update ${table} set amount = 9 where sku = 'a'`)
    await until(async () => (await keysHeld(poller.source)).length === 0)
    await db.query(`update ${table} set amount = 1`)
    const ids = await poller.ids(3)
    expect(new Set(ids).size).toBe(3)
    expect(types(poller)).toEqual(['a stock.low', 'a stock.low', 'b stock.low'])
  })

  test('clears: a key that is gone is an event with the row as it was last told', async () => {
    const table = await createStock()
    await db.query(`insert into ${table} values ('a', 1)`)
    const poller = await start(low(table, { clears: 'stock.ok' }))
    await poller.ids(1)
    await db.query(`delete from ${table}`)
    const [rise, clear] = await poller.ids(2)
    expect(clear).toBe(`${rise}/cleared`)
    expect(poller.deliveries[1]?.event).toMatchObject({ type: 'stock.ok', data: { key: 'a', amount: 1 } })
  })

  test('every: a key that stays is reminded of, with the row as it is and the number of the reminder', async () => {
    const table = await createStock()
    await db.query(`insert into ${table} values ('a', 1)`)
    const poller = await start(low(table, { everyMs: 100 }))
    await poller.ids(1)
    await db.query(`update ${table} set amount = 2`)
    const ids = await poller.ids(4)
    expect(new Set(ids).size).toBe(4)
    const last = poller.deliveries[3]?.event
    const reminder = Number(last?.extensions?.['reminder'])
    expect(reminder).toBeGreaterThanOrEqual(3)
    expect(last).toMatchObject({ id: `${ids[0]}/reminder-${reminder}`, type: 'stock.low', data: { amount: 2 } })
  })

  test('a restart raises nothing twice, and knows what went while nobody looked', async () => {
    const table = await createStock()
    await db.query(`insert into ${table} values ('a', 1), ('b', 1)`)
    const poller = await start(low(table, { clears: 'stock.ok' }))
    await poller.ids(2)
    await until(async () => (await events(poller.source)).length === 0)
    await poller.link.disconnect()
    await db.query(`delete from ${table} where sku = 'b'`)
    await db.query(`insert into ${table} values ('c', 1)`)
    const again = await start(low(table, { clears: 'stock.ok' }), { source: poller.source })
    await again.ids(2)
    expect(types(again)).toEqual(['c stock.low', 'b stock.ok'])
  })

  test('more keys than credit come page by page, each once', async () => {
    const table = await createStock()
    await db.query(`insert into ${table} select 's' || n, 1 from generate_series(1, 100) n`)
    const poller = await start(low(table), { credit: 7 })
    expect(new Set(await poller.ids(100)).size).toBe(100)
    expect(Math.max(...poller.batches.map((batch) => batch.length))).toBe(7)
  })

  test('what happens to a key whose event is not settled waits for it', async () => {
    const table = await createStock()
    await db.query(`insert into ${table} values ('a', 1)`)
    const poller = await start(low(table, { clears: 'stock.ok' }), { hold: true })
    await poller.ids(1)
    await db.query(`delete from ${table} where sku = 'a'`)
    await db.query(`insert into ${table} values ('b', 1)`)
    await poller.ids(2)
    expect(types(poller)).toEqual(['a stock.low', 'b stock.low'])
    await poller.done(poller.deliveries.slice(0, 1))
    await poller.ids(3)
    expect(types(poller)[2]).toBe('a stock.ok')
  })
})

const keysHeld = async (source: string): Promise<readonly string[]> => {
  const { rows } = await journal.query<{ key: string }>(`select key from ${schema}.condition where source = $1`, [
    source,
  ])
  return rows.map(({ key }) => key)
}

describe('a condition that cannot be kept', () => {
  const asking = (query: string): PollOptions => ({ ...quick, mode: 'condition', query })

  test('a query without a column named key is refused when connecting', async () => {
    await expect(start(asking('select 1 as one'))).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
  })

  test('a query that is not SQL is refused when connecting', async () => {
    await expect(start(asking('selekt 1'))).rejects.toMatchObject({ code: 'SOURCE_UNUSABLE' })
  })

  test('more than 10,000 keys are refused rather than held in memory', async () => {
    const poller = await start(asking('select n as key from generate_series(1, 10001) n'))
    await until(() => poller.losses.length === 1)
    expect(poller.losses[0]).toMatchObject({ code: 'LIMIT_EXCEEDED' })
    expect(await keysHeld(poller.source)).toEqual([])
  })

  test('state and events are one commit: what is rolled back is raised again', async () => {
    let failures = 0
    const broken = await intake({
      beforeCommit: async () => {
        if (rounds++ === 1) {
          failures++
          throw new Error('no commit')
        }
      },
    })
    let rounds = 0
    const poller = await start(asking(`select 'a' as key`), { intake: broken })
    await until(() => poller.losses.length === 1)
    expect(await keysHeld(poller.source)).toEqual([])
    await poller.reconnect()
    expect(await poller.ids(1)).toHaveLength(1)
    expect(failures).toBe(1)
  })
})
