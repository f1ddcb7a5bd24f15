import { expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { acceptAll, eventOf, idsOf, useJournals } from './journals.ts'
import { proxied } from './proxied.ts'

const journals = useJournals()

test('a clean close gives every lease back: others take the rows at once, and they count as never begun', async () => {
  const { open } = journals()
  const [leaving, staying] = await Promise.all([open(), open()])
  await acceptAll(leaving, [eventOf('1'), eventOf('2')])
  let woken = false
  staying.intake.onWake('journal', () => {
    woken = true
  })
  await leaving.close()
  await until(() => woken)
  const claimed = await staying.intake.claim('journal', 10)
  expect(claimed).toMatchObject([{ redelivered: false }, { redelivered: false }])
  expect(await journals().sql('select id::text from S.replica')).toEqual([{ id: staying.intake.replica() }])
})

test('the rows of a replica that died are back within seconds, flagged as redelivered, long before its lease is over', async () => {
  const { open, url } = journals()
  const { proxy, ...line } = await proxied(url)
  const [dying, staying] = await Promise.all([open(line), open()])
  await acceptAll(dying, [eventOf('1'), eventOf('2')])
  let woken = false
  staying.intake.onWake('journal', () => {
    woken = true
  })
  const diedAt = performance.now()
  proxy.refuse()
  proxy.reset()
  await until(() => woken)
  expect(performance.now() - diedAt).toBeLessThan(5_000)
  const claimed = await staying.intake.claim('journal', 10)
  expect(claimed).toMatchObject([{ redelivered: true }, { redelivered: true }])
  await dying.close()
  await proxy.close()
})

test('a replica that opens takes over what a dead one left', async () => {
  const { open, sql } = journals()
  const first = await open()
  await acceptAll(first, [eventOf('1')])
  await first.close()
  await sql(`update S.event set state = 'leased', lease_by = 4711`)
  const second = await open()
  expect(idsOf(await second.intake.claim('journal', 10))).toEqual(['1'])
})

test('connections that are cut and come back cost no lease', async () => {
  const { open, url, states } = journals()
  const { proxy, ...line } = await proxied(url)
  const [cut, watching] = await Promise.all([open(line), open()])
  const before = cut.intake.replica()
  const [accepted] = await acceptAll(cut, [eventOf('1')])
  for (let times = 0; times < 3; times++) {
    proxy.reset()
    await until(async () => (await journals().connections(cut)) > 0)
  }
  if (accepted !== undefined) await cut.ledger.settle([{ as: 'done', event: accepted.event, row: accepted.row }])
  expect(await states()).toEqual({})
  expect(cut.intake.replica()).toBe(before)
  expect(watching.lines.filter(({ message }) => message.includes('dead'))).toEqual([])
  await cut.close()
  await proxy.close()
})

test('a replica that froze for longer than its lease changes nothing when it wakes, and goes on under another number', async () => {
  const { open, url, states, sql } = journals()
  const { proxy, ...line } = await proxied(url)
  const short = { leaseMs: 1_200, heartbeatMs: 300 }
  const [frozen, taking] = await Promise.all([open({ ...line, ...short }), open(short)])
  const before = frozen.intake.replica()
  const [accepted] = await acceptAll(frozen, [eventOf('1')])
  proxy.blackHole()
  const [taken] = await until(async () => {
    const page = await taking.intake.claim('journal', 10)
    return page.length > 0 ? page : undefined
  })
  expect(taken).toMatchObject({ redelivered: true, event: { id: '1' } })
  proxy.heal()
  if (accepted === undefined) throw new Error('not accepted')
  await frozen.ledger.settle([{ as: 'done', event: accepted.event, row: accepted.row, counters: { done: 1 } }])
  expect(await states()).toEqual({ leased: 1 })
  expect(await frozen.counters()).toEqual({})
  await until(() => frozen.intake.replica() !== before)
  expect(frozen.lines.some(({ message }) => message.includes('registered anew'))).toBe(true)
  await acceptAll(frozen, [eventOf('2')])
  expect(await sql('select lease_by from S.event order by seq')).toEqual([
    { lease_by: taking.intake.replica() },
    { lease_by: frozen.intake.replica() },
  ])
  await frozen.close()
  await proxy.close()
})

test('a living replica keeps its leases, however long it works', async () => {
  const { open, states } = journals()
  const short = { leaseMs: 600, heartbeatMs: 150 }
  const [working, watching] = await Promise.all([open(short), open(short)])
  await acceptAll(working, [eventOf('1')])
  const startedAt = performance.now()
  await until(() => performance.now() - startedAt > 2_000)
  expect(await watching.intake.claim('journal', 10)).toEqual([])
  expect(await states()).toEqual({ leased: 1 })
})

test('dedup marks and begun runs that are over are deleted', async () => {
  const { open, sql, schema } = journals()
  const { prune } = await import('../../src/journal/prune.ts')
  const { namesOf } = await import('../../src/journal/schema.ts')
  const replica = await open()
  await replica.ledger.settle([
    { as: 'done', event: eventOf('old'), keepMs: 60_000 },
    { as: 'done', event: eventOf('new'), keepMs: 60_000 },
  ])
  await replica.ledger.begin([eventOf('old'), eventOf('new')])
  await sql(`update S.seen set until = now() - interval '1 s' where id = 'old'`)
  await sql(`update S.begun set at = now() - interval '8 days' where id = 'old'`)
  const db = { query: async (text: string) => ({ rows: await sql(text), rowCount: null }) }
  expect(await prune(db as Parameters<typeof prune>[0], namesOf(schema))).toBe(2)
  expect(await sql('select id from S.seen union all select id from S.begun')).toEqual([{ id: 'new' }, { id: 'new' }])
})
