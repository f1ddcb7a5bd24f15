import { expect, test } from 'vitest'
import { z } from 'zod'
import { ignore, on } from '../../src/define.ts'
import { eventOf, useJournals } from '../journal/journals.ts'
import { until } from '../support/until.ts'
import { gate, useJobs } from './jobs.harness.ts'

const journals = useJournals()
const start = useJobs()

const unreachable = 'postgres://nobody@127.0.0.1:1/nowhere'
const fromBroker = (id: string, over: object = {}) => eventOf(id, { kind: 'queue.event', via: 'orders', ...over })

test('a broker event is handled and acknowledged without a journal', async () => {
  const jobs = start(journals().create({ url: unreachable }), [on('order.created', ({ data }) => data)])
  const receipt = jobs.deliver(fromBroker('1'))
  expect(await jobs.settled(receipt)).toEqual({
    receipt,
    outcome: 'ack',
    answer: { status: 'done', value: { no: '1' } },
  })
  expect(jobs.observed).toEqual({ done: 1 })
})

test('a payload that does not fit its schema is parked with the reason, and its handler does not run', async () => {
  const replica = await journals().open()
  const runs: unknown[] = []
  const schema = z.object({ amount: z.number() })
  const jobs = start(replica, [on('order.created', { schema }, ({ data }) => runs.push(data.amount))])
  const receipt = jobs.deliver(fromBroker('1', { data: { amount: 'much' } }))
  expect(await jobs.settled(receipt)).toMatchObject({ outcome: 'reject', answer: { status: 'parked' } })
  const [parked] = await replica.parked.list({ limit: 10 })
  expect(parked).toMatchObject({ id: '1', attempts: 0, error: { code: 'EVENT_INVALID' } })
  expect(parked?.error.message).toContain('data.amount')
  expect((await replica.parked.show(parked?.seq ?? ''))?.event.data).toEqual({ amount: 'much' })
  expect(runs).toEqual([])
})

test('an event that an asynchronous schema still looks at when the time is up is given back and does not run', async () => {
  const checked = gate()
  const runs: string[] = []
  const schema = z.unknown().refine(async () => checked.opened.then(() => true))
  const jobs = start(journals().create({ url: unreachable }), [on('a', { schema }, ({ id }) => runs.push(id))])
  const receipt = jobs.deliver(fromBroker('1', { type: 'a' }))
  jobs.abort()
  checked.open()
  expect(await jobs.settled(receipt)).toMatchObject({ outcome: 'release' })
  expect(runs).toEqual([])
})

test('an event of which the journal cannot say whether it was handled is given back, and its slot is free', async () => {
  const replica = await journals().open()
  await replica.close()
  const jobs = start(replica, [on('a', { dedup: '1h' }, () => undefined)], { concurrency: 1 })
  const receipts = ['1', '2'].map((id) => jobs.deliver(fromBroker(id, { type: 'a' })))
  for (const receipt of receipts) expect(await jobs.settled(receipt)).toMatchObject({ outcome: 'release' })
  expect(jobs.view.running()).toBe(0)
})

const proxyOfNothing = Proxy.revocable({}, {})
proxyOfNothing.revoke()
const unreadable = (property: 'message' | 'stack') =>
  Object.defineProperty(new Error('hidden'), property, {
    get: () => {
      throw new Error(`no ${property}`)
    },
  })

test.each([
  ['undefined', undefined],
  ['null', null],
  ['a symbol', Symbol('odd')],
  ['an object without a prototype', Object.create(null)],
  ['an error whose message throws', unreadable('message')],
  ['an error whose stack throws', unreadable('stack')],
  ['an error whose message is no text', Object.assign(new Error('x'), { message: 7 })],
  ['a revoked proxy', proxyOfNothing.proxy],
])('a handler that throws %s has failed, at once or later, and is parked', async (_what, thrown) => {
  const replica = await journals().open()
  const once = { attempts: 1, inPlace: 0 }
  const throws = (): never => {
    throw thrown
  }
  const jobs = start(replica, [on('now', { retry: once }, throws), on('later', { retry: once }, async () => throws())])
  const receipts = ['now', 'later'].map((type) => jobs.deliver(fromBroker(type, { type })))
  for (const receipt of receipts) {
    expect(await jobs.settled(receipt)).toMatchObject({ outcome: 'reject', answer: { status: 'parked' } })
  }
  expect(await replica.parked.list({ limit: 10 })).toMatchObject([
    { error: { code: 'HANDLER_FAILED', message: expect.any(String) } },
    { error: { code: 'HANDLER_FAILED', message: expect.any(String) } },
  ])
})

test('however many handlers in a row give no promise, none runs inside another', async () => {
  const go = gate()
  const jobs = start(journals().create({ url: unreachable }), [on('slow', () => go.opened), on('a', ({ id }) => id)], {
    concurrency: 1,
  })
  jobs.deliver(fromBroker('first', { type: 'slow' }))
  const receipts = Array.from({ length: 20_000 }, (_, index) => jobs.deliver(fromBroker(`${index}`, { type: 'a' })))
  go.open()
  await jobs.settled(receipts.at(-1) as number)
  expect(jobs.observed).toEqual({ done: 20_001 })
})

test('what waits for a slot is told as waiting, what runs is not', async () => {
  const go = gate()
  const jobs = start(journals().create({ url: unreachable }), [on('a', () => go.opened)], { concurrency: 2 })
  const receipts = ['1', '2', '3', '4', '5'].map((id) => jobs.deliver(fromBroker(id, { type: 'a' })))
  expect([jobs.view.running(), jobs.view.waiting()]).toEqual([2, 3])
  go.open()
  await Promise.all(receipts.map((receipt) => jobs.settled(receipt)))
  expect([jobs.view.running(), jobs.view.waiting()]).toEqual([0, 0])
})

test('events behind an asynchronous schema keep their order', async () => {
  const [runs, checked] = [[] as string[], gate()]
  const slow = z.unknown().refine(() => checked.opened.then(() => true))
  const run = ({ id }: { id: string }): void => void runs.push(id)
  const replica = journals().create({ url: unreachable })
  const jobs = start(replica, [on('slow', { schema: slow }, run), on('fast', run)], { concurrency: 1 })
  const receipts = ['slow', 'fast'].map((type) => jobs.deliver(fromBroker(type, { type })))
  checked.open()
  await Promise.all(receipts.map((receipt) => jobs.settled(receipt)))
  expect(runs).toEqual(['slow', 'fast'])
})

test('an event without a handler is parked, an ignored one is acknowledged and leaves nothing', async () => {
  const replica = await journals().open()
  const jobs = start(replica, [on('invoice.created', () => undefined), ignore('noise.*')])
  const lost = jobs.deliver(fromBroker('1'))
  const noise = jobs.deliver(fromBroker('2', { type: 'noise.heard' }))
  expect(await jobs.settled(lost)).toMatchObject({ outcome: 'reject' })
  expect(await jobs.settled(noise)).toMatchObject({ outcome: 'ack', answer: { status: 'ignored' } })
  expect(await replica.parked.list({ limit: 10 })).toMatchObject([{ id: '1', error: { code: 'EVENT_UNHANDLED' } }])
  expect(await journals().states()).toEqual({ parked: 1 })
})

test('a handler may return what only begins when it is waited for, as query builders do', async () => {
  const lazy = {
    // biome-ignore lint/suspicious/noThenProperty: it is what the test is about
    then: (done: (value: string) => void) => done('begun'),
  }
  const jobs = start(journals().create({ url: unreachable }), [on('order.created', () => lazy)])
  expect(await jobs.settled(jobs.deliver(fromBroker('1')))).toMatchObject({ answer: { value: 'begun' } })
})

test('the most exact rule wins', async () => {
  const jobs = start(journals().create({ url: unreachable }), [
    on('*', () => 'any'),
    on('order.*', () => 'order'),
    on('order.created', () => 'created'),
    on('order.paid.*', () => 'paid'),
  ])
  const types = ['order.created', 'order.paid.late', 'order.sent', 'invoice.sent']
  const answers = types.map((type) => jobs.settled(jobs.deliver(fromBroker(type, { type }))))
  expect((await Promise.all(answers)).map(({ answer }) => answer)).toMatchObject(
    ['created', 'paid', 'order', 'any'].map((value) => ({ value })),
  )
})

test('a handler that throws is tried in place, then later, and parked after exactly its attempts', async () => {
  const replica = await journals().open()
  const attempts: number[] = []
  const retry = { attempts: 4, inPlace: 1, backoff: '1ms' } as const
  const jobs = start(replica, [
    on('order.created', { retry }, (_event, { attempt }) => {
      attempts.push(attempt)
      throw new TypeError(`no ${attempt}`)
    }),
  ])
  const first = await jobs.settled(jobs.deliver(fromBroker('1')))
  expect(first).toMatchObject({ outcome: 'ack', answer: { status: 'retrying' } })
  expect(attempts).toEqual([1, 2])
  expect(await journals().states()).toEqual({ ready: 1 })

  const second = await jobs.settled(await jobs.claim('journal'))
  expect(second).toMatchObject({ outcome: 'reject', answer: { status: 'parked' } })
  expect(attempts).toEqual([1, 2, 3, 4])
  const [parked] = await replica.parked.list({ limit: 10 })
  const shown = await replica.parked.show(parked?.seq ?? '')
  expect(shown).toMatchObject({ id: '1', via: 'orders', attempts: 4 })
  expect(shown?.history).toMatchObject(
    [1, 2, 3, 4].map((attempt) => ({
      attempt,
      codeVersion: '1.2.3',
      error: { code: 'HANDLER_FAILED', name: 'TypeError', message: `no ${attempt}` },
    })),
  )
})

test('a handler that ignores its timeout is parked within a second of it', async () => {
  const replica = await journals().open()
  const handlers = [on('order.created', { timeout: '200ms' }, () => new Promise(() => undefined))]
  const jobs = start(replica, handlers, { concurrency: 1 })
  const from = performance.now()
  const deaf = jobs.deliver(fromBroker('1'))
  const next = jobs.deliver(fromBroker('2'))
  expect(await jobs.settled(deaf)).toMatchObject({ outcome: 'reject', answer: { status: 'parked' } })
  const took = performance.now() - from
  expect(took).toBeGreaterThan(200)
  expect(took).toBeLessThan(1_200)
  expect(await replica.parked.list({ limit: 10 })).toMatchObject([
    { id: '1', attempts: 1, error: { code: 'HANDLER_TIMED_OUT' } },
  ])
  expect(await jobs.settled(next)).toMatchObject({ outcome: 'reject' })
})

test('a handler that stops at its timeout is tried again later, not in place', async () => {
  const replica = await journals().open()
  const heeding = on('order.created', { timeout: '100ms' }, async (_event, { signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    signal.throwIfAborted()
  })
  const jobs = start(replica, [heeding])
  expect(await jobs.settled(jobs.deliver(fromBroker('1')))).toMatchObject({
    outcome: 'ack',
    answer: { status: 'retrying', error: { code: 'HANDLER_TIMED_OUT' } },
  })
  expect(await journals().sql('select state, attempts from S.event')).toEqual([{ state: 'ready', attempts: 1 }])
})

test.each([
  ['stops', true],
  ['goes on', false],
])('an interrupted handler that %s costs no attempt', async (_what, heeds) => {
  const replica = await journals().open()
  const begun = gate()
  const jobs = start(replica, [
    on('order.created', async (_event, { signal }) => {
      begun.open()
      await new Promise((resolve) => heeds && signal.addEventListener('abort', resolve, { once: true }))
      throw signal.reason
    }),
  ])
  await replica.enqueue('orders', { type: 'order.created', data: {}, id: '1' })
  const running = await jobs.claim('orders')
  await begun.opened
  const from = performance.now()
  jobs.abort()
  expect(await jobs.settled(running)).toMatchObject({ outcome: 'release' })
  expect(performance.now() - from).toBeLessThan(1_000)
  expect(await journals().sql('select state, attempts, history from S.event')).toEqual([
    { state: 'ready', attempts: 0, history: null },
  ])
})

test('a handler that ignores its timeout and is interrupted before it is given up costs no attempt', async () => {
  const replica = await journals().open()
  const timedOut = gate()
  const jobs = start(replica, [
    on('order.created', { timeout: '50ms' }, (_event, { signal }) => {
      signal.addEventListener('abort', timedOut.open, { once: true })
      return new Promise(() => undefined)
    }),
  ])
  await replica.enqueue('orders', { type: 'order.created', data: {}, id: '1' })
  const running = await jobs.claim('orders')
  await timedOut.opened
  jobs.abort()
  expect(await jobs.settled(running)).toMatchObject({ outcome: 'release' })
  expect(await journals().sql('select state, attempts, history from S.event')).toEqual([
    { state: 'ready', attempts: 0, history: null },
  ])
})

test('a drain lets running handlers finish and gives the rest back', async () => {
  const go = gate()
  const jobs = start(journals().create({ url: unreachable }), [on('order.created', () => go.opened)], {
    concurrency: 1,
  })
  const [running, waiting] = [jobs.deliver(fromBroker('1')), jobs.deliver(fromBroker('2'))]
  jobs.drain()
  const late = jobs.deliver(fromBroker('3'))
  expect(await jobs.settled(waiting)).toMatchObject({ outcome: 'release' })
  expect(await jobs.settled(late)).toMatchObject({ outcome: 'release' })
  go.open()
  expect(await jobs.settled(running)).toMatchObject({ outcome: 'ack' })
})

test('events with the same key run one at a time and in order, others run beside them', async () => {
  const doors = [gate(), gate(), gate()]
  const log: string[] = []
  const jobs = start(
    journals().create({ url: unreachable }),
    [
      on('order.created', { key: ({ subject }) => subject }, async ({ id }) => {
        log.push(`${id} began`)
        await doors[Number(id)]?.opened
        log.push(`${id} ended`)
      }),
    ],
    { concurrency: 4 },
  )
  const same = ['0', '1', '2'].map((id) => jobs.deliver(fromBroker(id, { subject: 'k' })))
  await jobs.settled(jobs.deliver(fromBroker('other', { subject: 'l' })))
  expect(log).toEqual(['0 began', 'other began', 'other ended'])
  for (const door of doors.toReversed()) door.open()
  await Promise.all(same.map((receipt) => jobs.settled(receipt)))
  expect(log.slice(3)).toEqual(['0 ended', '1 began', '1 ended', '2 began', '2 ended'])
})

test('no more handlers run at once than the concurrency allows', async () => {
  const go = gate()
  const jobs = start(journals().create({ url: unreachable }), [on('order.created', () => go.opened)], {
    concurrency: 3,
  })
  const receipts = ['1', '2', '3', '4', '5'].map((id) => jobs.deliver(fromBroker(id)))
  expect([jobs.view.running(), jobs.view.waiting()]).toEqual([3, 2])
  go.open()
  await Promise.all(receipts.map((receipt) => jobs.settled(receipt)))
  await until(() => jobs.view.running() === 0)
})

test('with `dedup` a duplicate of what succeeded does not run; of what failed it does', async () => {
  const replica = await journals().open()
  const runs: string[] = []
  const once = on('a', { dedup: '24h', retry: { attempts: 1 } }, ({ id }) => {
    runs.push(id)
    if (runs.filter((run) => run === 'fails').length === 1) throw new Error('once')
  })
  const jobs = start(replica, [once])
  const ended = async (id: string) => (await jobs.settled(jobs.deliver(fromBroker(id, { type: 'a' })))).answer?.status
  expect([await ended('works'), await ended('works')]).toEqual(['done', 'duplicate'])
  expect([await ended('fails'), await ended('fails'), await ended('fails')]).toEqual(['parked', 'done', 'duplicate'])
  expect(runs).toEqual(['works', 'fails', 'fails'])
})

test('what a handler emits and counts happens once, however often its event is delivered', async () => {
  const replica = await journals().open()
  const jobs = start(replica, [
    on('order.created', (_event, { emit, counter }) => {
      emit('mail.wanted', { to: 'a' })
      counter('orders').add(2)
    }),
    on('mail.wanted', () => undefined),
  ])
  await jobs.settled(jobs.deliver(fromBroker('1')))
  await jobs.settled(jobs.deliver(fromBroker('1'), { redelivered: true }))
  expect(await journals().sql('select id, type from S.event')).toEqual([{ id: '1/1', type: 'mail.wanted' }])
  await jobs.settled(await jobs.claim('journal'))
  await jobs.settled(jobs.deliver(fromBroker('1'), { redelivered: true }))
  expect(await journals().states()).toEqual({})
  expect(await replica.counters()).toEqual({ orders: '2' })
})

test('a handler that fails emits and counts nothing', async () => {
  const replica = await journals().open()
  const jobs = start(replica, [
    on('order.created', { retry: { attempts: 1 } }, (_event, { emit, counter }) => {
      emit('mail.wanted', {})
      counter('orders').add(1)
      throw new Error('no')
    }),
  ])
  await jobs.settled(jobs.deliver(fromBroker('1')))
  expect(await journals().states()).toEqual({ parked: 1 })
  expect(await replica.counters()).toEqual({})
})
