import { beforeEach, describe, expect, test } from 'vitest'
import type { AtomicTransaction, Done } from '../../machines/journal.ts'
import { until } from '../support/until.ts'
import { acceptAll, eventOf, type Replica, useJournals } from './journals.ts'
import { proxied } from './proxied.ts'

const journals = useJournals()
let replica: Replica

beforeEach(async () => {
  replica = await journals().open()
  await journals().sql('create table S.effects (id text primary key)')
})

const patient = (): { waitMs: number; signal: AbortSignal } => ({
  waitMs: 10_000,
  signal: new AbortController().signal,
})
const effect = (tx: AtomicTransaction, id: string) =>
  tx.query(`insert into ${journals().schema}.effects values ($1)`, [id])
const effects = async (): Promise<unknown[]> =>
  (await journals().sql('select id from S.effects order by id')).map(({ id }) => id)

test('effect, mark, emitted events, counters and settlement commit together', async () => {
  const [accepted] = await acceptAll(replica, [eventOf('1')])
  if (accepted === undefined) throw new Error('not accepted')
  const { event, row } = accepted
  const result = await replica.ledger.underLock('ledger', patient(), async (tx) => {
    expect(await tx.mark([{ event, keepMs: 60_000 }])).toEqual([true])
    await effect(tx, '1')
    await tx.settle([
      { as: 'done', event, row, counters: { n: 1 }, emits: [{ event: eventOf('e') }], emitDelaysMs: [0] },
    ])
    expect(await journals().states()).toEqual({ leased: 1 })
    return 'result'
  })
  expect(result).toBe('result')
  expect(await effects()).toEqual(['1'])
  expect(await replica.ledger.seen([event])).toEqual([true])
  expect(await replica.counters()).toEqual({ n: '1' })
  expect(await journals().states()).toEqual({ ready: 1 })
})

test('when the handler throws nothing of it remains', async () => {
  const [accepted] = await acceptAll(replica, [eventOf('1')])
  if (accepted === undefined) throw new Error('not accepted')
  const { event, row } = accepted
  const run = replica.ledger.underLock('ledger', patient(), async (tx) => {
    await tx.mark([{ event, keepMs: 60_000 }])
    await effect(tx, '1')
    await tx.settle([{ as: 'done', event, row, counters: { n: 1 } }])
    throw new Error('no')
  })
  await expect(run).rejects.toThrow('no')
  expect(await effects()).toEqual([])
  expect(await replica.ledger.seen([event])).toEqual([false])
  expect(await replica.counters()).toEqual({})
  expect(await journals().states()).toEqual({ leased: 1 })
})

test('an event with a mark is told apart, also from one of its own group', async () => {
  await replica.ledger.settle([{ as: 'done', event: eventOf('old'), keepMs: 60_000 }])
  await replica.ledger.underLock('ledger', patient(), async (tx) => {
    const events = ['old', 'new', 'new'].map((id) => ({ event: eventOf(id), keepMs: 60_000 }))
    expect(await tx.mark(events)).toEqual([false, true, false])
  })
})

test('one that runs under a lock excludes all others, in this process and any other replica', async () => {
  const other = await journals().open()
  let inside = 0
  let most = 0
  const run = (each: Replica) =>
    each.ledger.underLock('ledger', patient(), async (tx) => {
      most = Math.max(most, ++inside)
      await tx.query('select pg_sleep(0.01)')
      inside--
    })
  await Promise.all([replica, other, replica, other, replica, other].map(run))
  expect(most).toBe(1)
})

test('different locks do not wait for each other', async () => {
  await replica.ledger.underLock('one', patient(), () =>
    replica.ledger.underLock('two', patient(), async () => undefined),
  )
})

test('who holds a lock, who waits, and for how long is visible to every replica', async () => {
  const other = await journals().open()
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const holding = replica.ledger.underLock(`it's a lock`, patient(), () => held)
  await until(async () => (await other.locks([`it's a lock`]))[`it's a lock`]?.holder)
  const waiting = other.ledger.underLock(`it's a lock`, patient(), async () => undefined)
  const lock = await until(async () => {
    const found = (await replica.locks([`it's a lock`]))[`it's a lock`]
    return (found?.longestWaitMs ?? 0) > 0 ? found : undefined
  })
  expect(lock).toMatchObject({ holder: { replica: replica.name }, waiting: 1 })
  release()
  await Promise.all([holding, waiting])
  expect(await replica.locks([`it's a lock`])).toEqual({ [`it's a lock`]: { waiting: 0, longestWaitMs: 0 } })
})

test('waiting for a lock ends after waitMs with LOCK_TIMED_OUT, and the handler was not run', async () => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const holding = replica.ledger.underLock('ledger', patient(), () => held)
  await until(async () => (await replica.locks(['ledger']))['ledger']?.holder)
  let ran = false
  const late = replica.ledger.underLock('ledger', { ...patient(), waitMs: 100 }, async () => {
    ran = true
  })
  await expect(late).rejects.toMatchObject({ code: 'LOCK_TIMED_OUT', fields: { lock: 'ledger' } })
  expect(ran).toBe(false)
  release()
  await holding
})

describe('when the signal aborts', () => {
  test.each([
    ['while it waits for the lock', 'waits'],
    ['in the middle of a query', 'queries'],
    ['between two queries', 'idles'],
  ] as const)('%s the run ends at once, nothing of it remains, and its lock is free', async (_name, moment) => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    const blocking = moment === 'waits' ? replica.ledger.underLock('ledger', patient(), () => held) : held
    if (moment === 'waits') await until(async () => (await replica.locks(['ledger']))['ledger']?.holder)
    const abort = new AbortController()
    const run = replica.ledger.underLock('ledger', { waitMs: 10_000, signal: abort.signal }, async (tx) => {
      await effect(tx, '1')
      if (moment === 'queries') await tx.query('select pg_sleep(30)')
      await held
    })
    await until(async () => {
      const lock = (await replica.locks(['ledger']))['ledger']
      return moment === 'waits' ? lock?.waiting === 1 : lock?.holder
    })
    abort.abort(new Error('too late'))
    await expect(run).rejects.toMatchObject({ code: 'HANDLER_INTERRUPTED', message: 'too late' })
    release()
    await blocking
    const startedAt = performance.now()
    await replica.ledger.underLock('ledger', patient(), async () => undefined)
    expect(performance.now() - startedAt).toBeLessThan(3_000)
    expect(await effects()).toEqual([])
  })
})

test('a handler that still holds tx after its end can do no harm', async () => {
  let leaked: AtomicTransaction | undefined
  await replica.ledger.underLock('ledger', patient(), async (tx) => {
    leaked = tx
  })
  await expect(leaked && effect(leaked, 'late')).rejects.toThrow('transaction is over')
  expect(await effects()).toEqual([])
})

test('an error of a query that the handler swallowed fails the run all the same', async () => {
  const run = replica.ledger.underLock('ledger', patient(), async (tx) => {
    await effect(tx, '1')
    await tx.query('select 1 / 0').catch(() => undefined)
  })
  await expect(run).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
  expect(await effects()).toEqual([])
})

test('queries that are not awaited run in order and belong to the transaction', async () => {
  await replica.ledger.underLock('ledger', patient(), async (tx) => {
    for (const id of ['a', 'b', 'c']) void effect(tx, id)
  })
  expect(await effects()).toEqual(['a', 'b', 'c'])
})

test('settling a row whose lease was lost throws LEASE_LOST, and nothing of the group remains', async () => {
  const accepted = await acceptAll(replica, [eventOf('1'), eventOf('2')])
  const other = await journals().open()
  await journals().sql(`update S.event set lease_by = $1 where id = '2'`, [other.intake.replica()])
  const run = replica.ledger.underLock('ledger', patient(), async (tx) => {
    await effect(tx, '1')
    await tx.settle(accepted.map(({ event, row }): Done => ({ as: 'done', event, row })))
  })
  await expect(run).rejects.toMatchObject({ code: 'LEASE_LOST' })
  expect(await effects()).toEqual([])
  expect(await journals().states()).toEqual({ leased: 2 })
})

test('the lock of a replica that froze is free within five seconds, and what it did is undone', async () => {
  const { open, url } = journals()
  const { proxy, ...line } = await proxied(url)
  const frozen = await open(line)
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const run = frozen.ledger.underLock('ledger', patient(), async (tx) => {
    await effect(tx, 'frozen')
    await held
    await effect(tx, 'late')
  })
  run.catch(() => undefined)
  await until(async () => (await replica.locks(['ledger']))['ledger']?.holder)
  proxy.blackHole()
  const startedAt = performance.now()
  await replica.ledger.underLock('ledger', patient(), async () => undefined)
  expect(performance.now() - startedAt).toBeLessThan(5_500)
  proxy.heal()
  release()
  await expect(run).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' })
  expect(await effects()).toEqual([])
  await frozen.close()
  await proxy.close()
}, 20_000)

test('a handler that works for long between two queries keeps its transaction', async () => {
  const startedAt = performance.now()
  await replica.ledger.underLock('ledger', patient(), async (tx) => {
    await effect(tx, '1')
    await until(() => performance.now() - startedAt > 6_000)
    await effect(tx, '2')
  })
  expect(await effects()).toEqual(['1', '2'])
}, 20_000)

test('a commit whose confirmation was lost counts as what it was', async () => {
  const { open, url } = journals()
  const { proxy, ...line } = await proxied(url)
  const cut = await open(line)
  const run = cut.ledger.underLock('ledger', patient(), async (tx) => {
    await effect(tx, '1')
    proxy.delay(150)
    return 'done'
  })
  await until(async () => (await effects()).length === 1)
  proxy.reset()
  proxy.delay(0)
  expect(await run).toBe('done')
  await cut.close()
  await proxy.close()
})
