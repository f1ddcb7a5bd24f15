import type { Log } from '../../machines/driver.ts'
import type { ControllerError } from '../../machines/errors.ts'
import type { Intake, JournalHealth, Ledger, Parked } from '../../machines/journal.ts'
import { createAccepting } from './accept.ts'
import { createUnderLock } from './atomic.ts'
import type { Base } from './base.ts'
import { createBegun } from './begun.ts'
import { createClaim } from './claim.ts'
import { type Enqueued, enqueue } from './enqueue.ts'
import { type Every, every } from './every.ts'
import { unavailable } from './failures.ts'
import { createHealth, type Health } from './health.ts'
import { createLease } from './lease.ts'
import { createSession } from './listen.ts'
import { applicationPrefix, type JournalLock, locksOf } from './locks.ts'
import { migrate } from './migrate.ts'
import { createParked } from './parked.ts'
import { createPersistence } from './persist.ts'
import { createPool, type Pool } from './pool.ts'
import { prune } from './prune.ts'
import { namesOf } from './schema.ts'
import { createSettle } from './settle.ts'
import { createWakes } from './wake.ts'
import { atMost, createWork, finishMs } from './work.ts'

/**
 * The journal on Postgres: puts its parts together. The contract of what it does stands in `machines/journal.ts`.
 */
export interface JournalOptions {
  readonly url: string
  readonly schema: string
  /** Apply pending migrations in `open`. */
  readonly migrate: boolean
  /** Of the running code. */
  readonly version: string
  readonly replicaName: string
  readonly log: Log
  /** Connections for claims and settlements, and as many again for atomic handlers (default 10). */
  readonly poolSize?: number
  /** After this long without a heartbeat a replica is dead (default 25 s). */
  readonly leaseMs?: number
  /** Default 5 s. */
  readonly heartbeatMs?: number
  /** Called when it changes; after `open` the journal is up. */
  onHealth(health: JournalHealth): void
}

export interface Journal {
  readonly intake: Intake
  readonly ledger: Ledger
  readonly parked: Parked
  /**
   * One attempt; may be called again.
   *
   * @throws ControllerError JOURNAL_UNAVAILABLE, JOURNAL_OUTDATED, JOURNAL_TOO_NEW
   */
  open(): Promise<void>
  /** Waits a little for what is under way, gives leases back, closes every connection. Legal at any time, also twice. */
  close(): Promise<void>
  /** Values of all counters, as decimal numbers. */
  counters(): Promise<Readonly<Record<string, string>>>
  /** Puts an event into a table queue; gives its number, or undefined when it is there already. */
  enqueue(queue: string, event: Enqueued): Promise<string | undefined>
  /** Holders and waiters of these locks over all replicas. */
  locks(names: readonly string[]): Promise<Readonly<Record<string, JournalLock>>>
}

/** Closing while Postgres does not answer takes five seconds: `finishMs` for what is under way, one for each step after it. */
const closeStepMs = 1_000
const pruneMs = 60_000

export const createJournal = (options: JournalOptions): Journal => {
  const { url, log, poolSize = 10, leaseMs = 25_000, heartbeatMs = 5_000 } = options
  const names = namesOf(options.schema)
  const applicationName = `${applicationPrefix}${options.replicaName}`.slice(0, 63)
  const closing = new AbortController()
  const wakes = createWakes()
  const usable = Promise.withResolvers<void>()
  let opened = false

  const health: Health = createHealth(
    (state) => {
      if (!opened) return
      if (state.up) lease.check()
      options.onHealth(state)
    },
    () => pool.query('select 1'),
  )
  const session = createSession({ url, names, applicationName, wakes, log })
  const connections = { url, size: poolSize, applicationName, log }
  const { answered: onAnswered, failed: onFailed } = health
  const pool: Pool = createPool({ ...connections, keepsSession: session.isReal, onAnswered, onFailed })
  const lockPool: Pool = createPool(connections)
  const { replicaName: name, version } = options
  const lease = createLease({ names, db: pool, session, wakes, log, name, version, leaseMs, heartbeatMs })
  const persistence = createPersistence(pool, closing.signal, usable.promise)
  const base: Base = {
    names,
    pool,
    log,
    wakes,
    replica: lease.replica,
    leaseLost: lease.check,
    isDown: health.isDown,
    untilDone: persistence.untilDone,
    once: persistence.once,
  }
  const accepting = createAccepting(base)
  const claim = createClaim(base)
  const settle = createSettle(base, accepting.takeAlong)
  const underLock = createUnderLock(base, lockPool)
  const work = createWork()
  let pruning: Every | undefined
  let closed: Promise<void> | undefined

  const open = async (): Promise<void> => {
    if (opened) return
    try {
      const { from, to } = await migrate(pool, names, options.migrate)
      if (from < to) log.info({ schema: names.schema, from, to }, 'journal schema brought up to date')
      await session.open()
      await lease.open()
    } catch (thrown) {
      throw unavailable(thrown)
    }
    opened = true
    usable.resolve()
    pruning ??= every(pruneMs, async () => {
      while ((await prune(pool, names)) > 0 && closed === undefined);
    })
  }

  const close = async (): Promise<void> => {
    health.stop()
    await atMost(finishMs, Promise.all([accepting.idle(), work.idle()]))
    closing.abort()
    await atMost(closeStepMs, Promise.all([lease.stop(), pruning?.stop()]))
    if (opened) {
      const left = await atMost(closeStepMs, lease.leave())
      if (!left)
        log.warn({ replica: lease.replica() }, 'journal leases could not be given back; they end by themselves')
    }
    wakes.close()
    await Promise.all([session.close(), pool.end(closeStepMs), lockPool.end(closeStepMs)])
  }

  return {
    open: () => work.add(open()),
    close: () => {
      closed ??= close()
      return closed
    },
    intake: {
      schema: names.schema,
      replica: lease.replica,
      accept: (arrival, withinMs) =>
        closed === undefined ? accepting.accept(arrival, withinMs) : Promise.reject(unavailable()),
      claim: (queue, limit) => (opened ? work.add(claim(queue, limit)) : Promise.reject(notOpen())),
      onWake: wakes.on,
      transaction: (run) => work.add(persistence.transaction(run)),
    },
    ledger: {
      ...createBegun(base),
      settle: (endings) => work.add(settle(endings)),
      underLock: (lock, settings, run) =>
        opened ? work.add(underLock(lock, settings, run)) : Promise.reject(notOpen()),
    },
    parked: createParked(base),
    counters: async () => {
      const query = `select name, value::text from ${names.quoted}.counter order by name`
      const { rows } = await pool.query<{ name: string; value: string }>(query)
      return Object.fromEntries(rows.map(({ name: counter, value }) => [counter, value]))
    },
    enqueue: (queue, event) => enqueue(pool, names, queue, event),
    locks: (wanted) => locksOf(pool, names, wanted),
  }
}

const notOpen = (): ControllerError => unavailable(new Error('it is not open yet'))
