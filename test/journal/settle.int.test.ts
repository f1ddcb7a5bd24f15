import { Client } from 'pg'
import { beforeEach, expect, test } from 'vitest'
import type { Claimed, Done, Ending, Failed } from '../../machines/journal.ts'
import { until } from '../support/until.ts'
import { acceptAll, attemptOf, eventOf, idsOf, type Replica, useJournals } from './journals.ts'

const journals = useJournals()
let replica: Replica

beforeEach(async () => {
  replica = await journals().open()
})

const done = ({ event, row }: Claimed, over: Partial<Done> = {}): Done => ({ as: 'done', event, row, ...over })
const failed = (as: 'retry' | 'park', claimed: Omit<Claimed, 'row'> | Claimed, over: Partial<Failed> = {}): Failed => ({
  as,
  event: claimed.event,
  ...('row' in claimed ? { row: claimed.row } : {}),
  queue: 'journal',
  attempts: 1,
  history: [attemptOf(1)],
  dueInMs: 0,
  ...over,
})
const accept = async (...ids: string[]): Promise<Claimed[]> =>
  acceptAll(
    replica,
    ids.map((id) => eventOf(id)),
  )
const one = async (id: string): Promise<Claimed> => {
  const [accepted] = await accept(id)
  if (accepted === undefined) throw new Error(`${id} was not accepted`)
  return accepted
}
const withoutRow = (id: string) => ({ event: eventOf(id), bytes: 0, redelivered: false })

test('a settled row is gone, and with keepMs its mark stays', async () => {
  const [a, b] = await accept('a', 'b')
  if (a === undefined || b === undefined) throw new Error('not accepted')
  await replica.ledger.settle([done(a), done(b, { keepMs: 60_000 })])
  expect(await journals().states()).toEqual({})
  expect(await replica.ledger.seen([eventOf('a'), eventOf('b'), eventOf('b', { source: 'other' })])).toEqual([
    false,
    true,
    false,
  ])
})

test('only success is remembered: a retried, parked or released event has no mark', async () => {
  const [a, b, c] = await accept('a', 'b', 'c')
  if (a === undefined || b === undefined || c === undefined) throw new Error('not accepted')
  await replica.ledger.settle([failed('retry', a), failed('park', b), { as: 'release', event: c.event, row: c.row }])
  expect(await replica.ledger.seen([a.event, b.event, c.event])).toEqual([false, false, false])
  expect(await journals().states()).toEqual({ ready: 2, parked: 1 })
})

test('what a handler emitted and counted is there when its event is settled, and emitted events fall due as asked', async () => {
  const emits = [{ event: eventOf('e1') }, { event: eventOf('e2'), json: '{"verbatim":  1}' }]
  const counters = { orders: 2, amount: 1.5 }
  await replica.ledger.settle([
    done(await one('a'), { emits, emitDelaysMs: [0, 200], counters }),
    { as: 'done', event: eventOf('no row'), counters: { orders: 1 } },
  ])
  expect(await replica.counters()).toEqual({ orders: '3', amount: '1.5' })
  expect(idsOf(await replica.intake.claim('journal', 10))).toEqual(['e1'])
  const later = await until(async () => {
    const page = await replica.intake.claim('journal', 10)
    return page.length > 0 ? page : undefined
  })
  expect(later.map(({ event }) => event.data)).toEqual([{ verbatim: 1 }])
})

test('with a mark that is there already nothing is emitted or counted again', async () => {
  const effects = { keepMs: 60_000, counters: { orders: 1 }, emits: [{ event: eventOf('e') }], emitDelaysMs: [0] }
  const twice: Done = { as: 'done', event: eventOf('a'), ...effects }
  await replica.ledger.settle([twice, { ...twice }])
  await replica.ledger.settle([twice])
  expect(await replica.counters()).toEqual({ orders: '1' })
  expect(await replica.intake.claim('journal', 10)).toHaveLength(1)
})

test('a mark whose window is over is no mark', async () => {
  const ending: Done = { as: 'done', event: eventOf('a'), keepMs: 60_000, counters: { orders: 1 } }
  await replica.ledger.settle([ending])
  await journals().sql(`update S.seen set until = now() - interval '1 ms'`)
  await replica.ledger.settle([ending])
  expect(await replica.counters()).toEqual({ orders: '2' })
})

test('of rows that are settled those with a mark already have no effects, and those whose mark is over have', async () => {
  const { sql } = journals()
  const claimed = await accept('marked', 'over', 'new')
  await sql(
    `insert into S.seen (ce_source, id, until)
     select ce_source, id, now() + case id when 'over' then interval '-1 s' else interval '1 h' end
     from S.event where id <> 'new'`,
  )
  const effects = ({ event }: Claimed) => ({ keepMs: 60_000, counters: { [event.id]: 1 } })
  await replica.ledger.settle(claimed.map((each) => done(each, effects(each))))
  expect(await replica.counters()).toEqual({ over: '1', new: '1' })
  expect(await replica.ledger.seen(claimed.map(({ event }) => event))).toEqual([true, true, true])
  expect(await journals().states()).toEqual({})
})

test.each([
  ['with rows', true],
  ['without rows', false],
])('two that leave marks of the same events, %s, wait for each other, and never both', async (_how, withRows) => {
  const { schema, url, waiting } = journals()
  const events = [eventOf('2', { source: 'a' }), eventOf('1', { source: 'b' })]
  const claimed = withRows ? await acceptAll(replica, events) : events.map((event) => ({ event }))
  const other = new Client({ connectionString: url })
  await other.connect()
  const mark = (source: string, id: string) =>
    other.query(`insert into ${schema}.seen (ce_source, id, until) values ($1, $2, now() + interval '1 h')`, [
      source,
      id,
    ])
  try {
    await other.query(`begin; set local lock_timeout = '300ms'`)
    await mark('b', '1')
    const settled = replica.ledger.settle(claimed.map((each) => ({ as: 'done', ...each, keepMs: 60_000 })))
    await until(async () => (await waiting(replica)) > 0)
    await mark('a', '2')
    await other.query('commit')
    await settled
  } finally {
    await other.end()
  }
  expect(await replica.ledger.seen(events)).toEqual([true, true])
})

test('an ending that wants to write what the table cannot hold does not hold up the others', async () => {
  const event = eventOf('n\0ul', { data: { text: '\0\ud800' }, type: 'a\0b' })
  const history = [attemptOf(1, { message: 'NUL \0, half a pair \udc00' })]
  await replica.ledger.settle([
    failed('park', { event, bytes: 0, redelivered: false }, { history }),
    failed('park', withoutRow('b')),
  ])
  expect(await replica.parked.list({ limit: 10 })).toHaveLength(2)
})

test('a failed event is tried again when it falls due, with its attempts and the history of all of them', async () => {
  let woken = 0
  replica.intake.onWake('journal', () => {
    woken++
  })
  await replica.ledger.settle([failed('retry', await one('a'), { dueInMs: 300 })])
  expect(await replica.intake.claim('journal', 10)).toEqual([])
  await until(() => woken > 0)
  const [again] = await replica.intake.claim('journal', 10)
  expect(again?.row.attempts).toBe(1)
  if (again === undefined) return
  await replica.ledger.settle([failed('park', again, { attempts: 2, history: [attemptOf(2)] })])
  const [parked] = await replica.parked.list({ limit: 10 })
  expect((await replica.parked.show(parked?.seq ?? ''))?.history.map(({ attempt }) => attempt)).toEqual([1, 2])
})

test('a broker event that failed gets a row; when the broker brings it again that row is left alone', async () => {
  const { sql } = journals()
  const retry = failed('retry', withoutRow('a'), { dueInMs: 60_000 })
  await replica.ledger.settle([retry])
  await replica.ledger.settle([{ ...retry, attempts: 7 }])
  expect(await sql('select attempts, state, via from S.event')).toEqual([{ attempts: 1, state: 'ready', via: 'shop' }])
})

test('a parked broker event that comes again and fails again is tried again', async () => {
  const { sql } = journals()
  await replica.ledger.settle([failed('park', withoutRow('a'), { attempts: 5 })])
  await replica.ledger.settle([failed('retry', withoutRow('a'), { dueInMs: 60_000 })])
  expect(await sql('select attempts, state, parked_at, jsonb_array_length(history) as length from S.event')).toEqual([
    { attempts: 1, state: 'ready', parked_at: null, length: 2 },
  ])
})

test('a payload that could not be read is parked as it came, and comes as a defect when it is redriven', async () => {
  const raw = Buffer.from([0x7b, 0xff])
  await replica.ledger.settle([
    failed('park', { ...withoutRow('a'), event: eventOf('a', { data: undefined }) }, { raw }),
  ])
  const [parked] = await replica.parked.list({ limit: 10 })
  expect((await replica.parked.show(parked?.seq ?? ''))?.raw).toBe(raw.toString('base64'))
  await replica.parked.redrive({ limit: 10 })
  const [again] = await replica.intake.claim('journal', 10)
  expect(again?.defect?.error.code).toBe('EVENT_MALFORMED')
  expect(again?.defect?.raw).toEqual(raw)
})

test('a moved event waits in its new queue, with and without a row of its own', async () => {
  await replica.ledger.settle([
    { as: 'move', ...(await one('a')), queue: 'long' },
    { as: 'move', event: eventOf('b'), queue: 'long' },
  ])
  expect(idsOf(await replica.intake.claim('long', 10)).sort()).toEqual(['a', 'b'])
})

test('a released row is claimed again at once, here or elsewhere, and is not flagged as redelivered', async () => {
  const other = await journals().open()
  let woken = 0
  for (const each of [replica, other]) each.intake.onWake('journal', () => woken++)
  const { event, row } = await one('a')
  await replica.ledger.settle([{ as: 'release', event, row }])
  await until(() => woken >= 2)
  expect(await other.intake.claim('journal', 10)).toMatchObject([{ redelivered: false, row: { attempts: 0 } }])
})

test('settling a row whose lease was lost changes nothing, and is warned about', async () => {
  const { sql, states } = journals()
  const rows = await accept('done', 'kept', 'retry', 'park', 'release', 'move', 'mine')
  const [a, b, c, d, e, f, mine] = rows
  if (!a || !b || !c || !d || !e || !f || !mine) throw new Error('not accepted')
  const other = await journals().open()
  await sql(`update S.event set lease_by = $1 where id <> 'mine'`, [other.intake.replica()])
  const effects = { counters: { orders: 1 }, emits: [{ event: eventOf('emitted') }], emitDelaysMs: [0] }
  const endings: Ending[] = [
    done(a, effects),
    done(b, { ...effects, keepMs: 60_000 }),
    failed('retry', c),
    failed('park', d),
    { as: 'release', event: e.event, row: e.row },
    { as: 'move', event: f.event, row: f.row, queue: 'long' },
    done(mine),
  ]
  await replica.ledger.settle(endings)
  expect(await states()).toEqual({ leased: 6 })
  expect(await replica.counters()).toEqual({})
  expect(await replica.ledger.seen([b.event])).toEqual([false])
  expect(replica.lines.filter(({ level }) => level === 'warn')).toMatchObject([{ fields: { lost: 6, of: 7 } }])
})

test('what a replica took before it was declared dead it settles without effect, also when it has taken the row again', async () => {
  const { states } = journals()
  const [again, mine] = await accept('again', 'mine')
  if (!again || !mine) throw new Error('not accepted')
  const stale = { ...again, row: { ...again.row, lease: '4711' } }
  const { event, row } = stale
  await replica.ledger.settle([
    done(stale, { counters: { orders: 1 }, keepMs: 60_000 }),
    failed('retry', stale),
    { as: 'release', event, row },
    done(mine),
  ])
  expect(await states()).toEqual({ leased: 1 })
  expect(await replica.counters()).toEqual({})
  expect(await replica.ledger.seen([event])).toEqual([false])
  expect(await replica.ledger.checkpoint(row, 1)).toBe(false)
  const settings = { waitMs: 1_000, signal: new AbortController().signal }
  const atomic = replica.ledger.underLock('a', settings, (tx) => tx.settle([done(stale)]))
  await expect(atomic).rejects.toMatchObject({ code: 'LEASE_LOST' })
  await replica.ledger.settle([done(again)])
  expect(await states()).toEqual({})
})

test('counters of many settlements at once add up', async () => {
  const names = ['a', 'b', 'c', 'd']
  const other = await journals().open()
  await Promise.all(
    Array.from({ length: 40 }, (_, index) => {
      const order = index % 2 === 0 ? names : names.toReversed()
      const counters = Object.fromEntries(order.map((name) => [name, 1]))
      return [replica, other][index % 2]?.ledger.settle([{ as: 'done', event: eventOf(`${index}`), counters }])
    }),
  )
  expect(await replica.counters()).toEqual({ a: '40', b: '40', c: '40', d: '40' })
})
