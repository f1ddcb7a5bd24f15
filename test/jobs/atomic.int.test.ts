import { beforeEach, expect, test } from 'vitest'
import { type AtomicContext, on } from '../../src/define.ts'
import { eventOf, type Replica, useJournals } from '../journal/journals.ts'
import { until } from '../support/until.ts'
import { gate, useJobs } from './jobs.harness.ts'

const journals = useJournals()
const start = useJobs()
let replica: Replica

beforeEach(async () => {
  replica = await journals().open()
  await journals().sql('create table S.effect (id text, xid text default pg_current_xact_id()::text)')
})

const effect = async ({ id }: { id: string }, { tx }: AtomicContext): Promise<void> => {
  await tx.query(`insert into ${journals().schema}.effect (id) values ($1)`, [id])
}
const effects = async (): Promise<unknown[]> =>
  (await journals().sql('select id from S.effect order by id')).map(({ id }) => id)
const fromBroker = (id: string, over: object = {}) => eventOf(id, { kind: 'queue.event', via: 'orders', ...over })
const once = { attempts: 2, inPlace: 0, backoff: '1ms' } as const

test('effect, mark, emitted event, counter and settlement of an atomic handler commit together', async () => {
  const [written, go] = [gate(), gate()]
  const jobs = start(replica, [
    on('order.created', { atomic: 'ledger' }, async (event, context) => {
      await effect(event, context)
      context.emit('mail.wanted', {})
      context.counter('orders').add(3)
      written.open()
      await go.opened
    }),
  ])
  const everything = async (): Promise<unknown> => ({
    effects: await effects(),
    events: (await journals().sql('select type, state from S.event order by type')).map((row) => Object.values(row)),
    marks: (await journals().sql('select id from S.seen')).length,
    counters: await replica.counters(),
  })
  await replica.enqueue('orders', { type: 'order.created', data: {}, id: '1' })
  const receipt = await jobs.claim('orders')
  await written.opened
  expect(await everything()).toEqual({ effects: [], events: [['order.created', 'leased']], marks: 0, counters: {} })
  expect(jobs.settlements).toEqual([])
  go.open()
  expect(await jobs.settled(receipt)).toMatchObject({ outcome: 'ack', answer: { status: 'done' } })
  expect(await everything()).toEqual({
    effects: ['1'],
    events: [['mail.wanted', 'ready']],
    marks: 1,
    counters: { orders: '3' },
  })
})

test('an atomic handler that fails leaves nothing but its attempt', async () => {
  const jobs = start(replica, [
    on('order.created', { atomic: 'ledger', retry: once }, async (event, context) => {
      await effect(event, context)
      context.emit('mail.wanted', {})
      context.counter('orders').add(3)
      throw new Error('no')
    }),
  ])
  expect(await jobs.settled(jobs.deliver(fromBroker('1')))).toMatchObject({ answer: { status: 'retrying' } })
  expect(await effects()).toEqual([])
  expect(await journals().sql('select id, attempts from S.event')).toEqual([{ id: '1', attempts: 1 }])
  expect(await journals().sql('select id from S.seen')).toEqual([])
  expect(await replica.counters()).toEqual({})
})

test('events that wait for one lock share a transaction', async () => {
  const go = gate()
  const jobs = start(replica, [
    on('first', { atomic: 'ledger' }, () => go.opened),
    on('order.created', { atomic: 'ledger' }, effect),
  ])
  jobs.deliver(fromBroker('0', { type: 'first' }))
  const receipts = ['1', '2', '3'].map((id) => jobs.deliver(fromBroker(id)))
  expect(jobs.view.waitingFor('ledger')).toBe(3)
  go.open()
  await Promise.all(receipts.map((receipt) => jobs.settled(receipt)))
  expect(await journals().sql('select count(*)::int as n, count(distinct xid)::int as xids from S.effect')).toEqual([
    { n: 3, xids: 1 },
  ])
})

test('a failing member of a group fails alone', async () => {
  const go = gate()
  const jobs = start(replica, [
    on('first', { atomic: 'ledger' }, () => go.opened),
    on('order.created', { atomic: 'ledger', retry: once }, async (event, context) => {
      await effect(event, context)
      if (event.id === 'bad') throw new Error('no')
    }),
  ])
  jobs.deliver(fromBroker('0', { type: 'first' }))
  const [good, bad, better] = ['good', 'bad', 'better'].map((id) => jobs.deliver(fromBroker(id)))
  go.open()
  expect(await jobs.settled(good ?? 0)).toMatchObject({ answer: { status: 'done' } })
  expect(await jobs.settled(bad ?? 0)).toMatchObject({ answer: { status: 'retrying' } })
  expect(await jobs.settled(better ?? 0)).toMatchObject({ answer: { status: 'done' } })
  expect(await effects()).toEqual(['better', 'good'])
  expect(await journals().sql('select id, attempts from S.event')).toEqual([{ id: 'bad', attempts: 1 }])
})

test('a statement that failed is the failure of its event, also when the handler hides it', async () => {
  const jobs = start(replica, [
    on('order.created', { atomic: 'ledger', retry: { attempts: 1 } }, async (event, context) => {
      await effect(event, context)
      await context.tx.query('select 1/0').catch(() => undefined)
    }),
  ])
  expect(await jobs.settled(jobs.deliver(fromBroker('1')))).toMatchObject({ outcome: 'reject' })
  expect(await effects()).toEqual([])
  expect(await replica.parked.list({ limit: 10 })).toMatchObject([{ id: '1', attempts: 1 }])
})

test('a transaction that the database broke off is repeated and costs no attempt', async () => {
  const attempts: number[] = []
  const jobs = start(replica, [
    on('order.created', { atomic: 'ledger', retry: { attempts: 1 } }, async (event, context) => {
      attempts.push(context.attempt)
      await effect(event, context)
      if (attempts.length === 1) await context.tx.query('select pg_terminate_backend(pg_backend_pid())')
    }),
  ])
  expect(await jobs.settled(jobs.deliver(fromBroker('1')))).toMatchObject({ answer: { status: 'done' } })
  expect(attempts).toEqual([1, 1])
  expect(await effects()).toEqual(['1'])
})

test.each([
  ['a lock that the handler did not get', `do $$ begin raise lock_not_available; end $$`],
  ['a statement that the handler gave too little time', `set local statement_timeout = 1; select pg_sleep(5)`],
])('%s costs an attempt: it is not repeated without end', async (_, statement) => {
  const jobs = start(replica, [
    on('order.created', { atomic: 'ledger', retry: { attempts: 2 } }, (_event, { tx }) => tx.query(statement)),
  ])
  expect(await jobs.settled(jobs.deliver(fromBroker('1')))).toMatchObject({ outcome: 'reject' })
  expect(await replica.parked.list({ limit: 10 })).toMatchObject([{ id: '1', attempts: 2 }])
})

test('a connection that another service refuses to an atomic handler is a failure of the handler', async () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  const jobs = start(replica, [
    on('order.created', { atomic: 'ledger', retry: { attempts: 2 } }, () => Promise.reject(refused)),
  ])
  expect(await jobs.settled(jobs.deliver(fromBroker('1')))).toMatchObject({ outcome: 'reject' })
  expect(await replica.parked.list({ limit: 10 })).toMatchObject([{ id: '1', attempts: 2 }])
})

test('handlers of the same lock never overlap, in one replica or in several', async () => {
  let [running, most] = [0, 0]
  const alone = on('order.created', { atomic: 'ledger' }, async (event, context) => {
    most = Math.max(most, ++running)
    await effect(event, context)
    await context.tx.query('select pg_sleep(0.005)')
    running--
  })
  const replicas = [replica, await journals().open()]
  const receipts = replicas.flatMap((each, index) => {
    const jobs = start(each, [alone])
    return Array.from({ length: 20 }, (_, n) => jobs.settled(jobs.deliver(fromBroker(`${index}-${n}`))))
  })
  await Promise.all(receipts)
  expect(most).toBe(1)
  expect(await effects()).toHaveLength(40)
})

test('handlers of different locks run beside each other', async () => {
  const [one, two] = [gate(), gate()]
  const jobs = start(replica, [
    on('one', { atomic: 'one' }, async () => {
      one.open()
      await two.opened
    }),
    on('two', { atomic: 'two' }, async () => {
      two.open()
      await one.opened
    }),
  ])
  const receipts = ['one', 'two'].map((type) => jobs.deliver(fromBroker(type, { type })))
  for (const receipt of receipts) expect(await jobs.settled(receipt)).toMatchObject({ answer: { status: 'done' } })
})

test('a duplicate of an atomic event is acknowledged and has no second effect', async () => {
  const handlers = [
    on('order.created', { atomic: 'ledger' }, async (event, context) => {
      await effect(event, context)
      context.counter('orders').add(1)
    }),
  ]
  const replicas = [start(replica, handlers), start(await journals().open(), handlers)]
  const deliverAll = () =>
    Promise.all(replicas.flatMap((jobs) => [1, 2].map(() => jobs.settled(jobs.deliver(fromBroker('1'))))))
  const settlements = [...(await deliverAll()), ...(await deliverAll())]
  expect(settlements.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 8 }, () => 'ack'))
  expect(settlements.filter(({ answer }) => answer?.status === 'done')).toHaveLength(1)
  expect(await effects()).toEqual(['1'])
  expect(await replica.counters()).toEqual({ orders: '1' })
})

test('an atomic handler that ignores its timeout loses its transaction, its lock is free and it is parked', async () => {
  const jobs = start(replica, [
    on('deaf', { atomic: 'ledger', timeout: '200ms' }, async (event, context) => {
      await effect(event, context)
      await new Promise(() => undefined)
    }),
    on('order.created', { atomic: 'ledger' }, effect),
  ])
  const deaf = jobs.deliver(fromBroker('deaf', { type: 'deaf' }))
  const next = jobs.deliver(fromBroker('next'))
  expect(await jobs.settled(deaf)).toMatchObject({ outcome: 'reject', answer: { status: 'parked' } })
  expect(await jobs.settled(next)).toMatchObject({ answer: { status: 'done' } })
  expect(await effects()).toEqual(['next'])
})

test('a deaf member of a group runs once and is parked, the others run without it', async () => {
  const go = gate()
  const runs: string[] = []
  const jobs = start(replica, [
    on('first', { atomic: 'ledger' }, () => go.opened),
    on('order.created', { atomic: 'ledger', timeout: '200ms' }, async (event, context) => {
      runs.push(event.id)
      if (event.id === 'deaf') await new Promise(() => undefined)
      await effect(event, context)
    }),
  ])
  jobs.deliver(fromBroker('0', { type: 'first' }))
  const [deaf, next] = ['deaf', 'next'].map((id) => jobs.deliver(fromBroker(id)))
  go.open()
  expect(await jobs.settled(deaf ?? 0)).toMatchObject({ outcome: 'reject' })
  expect(await jobs.settled(next ?? 0)).toMatchObject({ answer: { status: 'done' } })
  expect(runs).toEqual(['deaf', 'next'])
})

test('a group waits for its lock once, not once for each event', async () => {
  const [held, done] = [gate(), gate()]
  const { signal } = new AbortController()
  const holding = (await journals().open()).ledger.underLock('ledger', { waitMs: 1_000, signal }, () => {
    held.open()
    return done.opened
  })
  await held.opened
  const jobs = start(replica, [on('order.created', { atomic: 'ledger' }, effect)], { lockWaitMs: 500 })
  const from = performance.now()
  const receipts = ['1', '2', '3', '4', '5', '6'].map((id) => jobs.deliver(fromBroker(id)))
  for (const receipt of receipts) {
    expect(await jobs.settled(receipt)).toMatchObject({
      answer: { status: 'retrying', error: { code: 'LOCK_TIMED_OUT' } },
    })
  }
  expect(performance.now() - from).toBeLessThan(2_000)
  done.open()
  await holding
  expect(await effects()).toEqual([])
})

test('an interrupted atomic handler costs no attempt and leaves no effect', async () => {
  const begun = gate()
  const jobs = start(replica, [
    on('order.created', { atomic: 'ledger' }, async (event, context) => {
      await effect(event, context)
      begun.open()
      await new Promise(() => undefined)
    }),
  ])
  await replica.enqueue('orders', { type: 'order.created', data: {}, id: '1' })
  const receipt = await jobs.claim('orders')
  await begun.opened
  jobs.abort()
  expect(await jobs.settled(receipt)).toMatchObject({ outcome: 'release' })
  expect(await effects()).toEqual([])
  await until(async () => (await journals().states())['ready'] === 1)
  expect(await journals().sql('select attempts from S.event')).toEqual([{ attempts: 0 }])
})
