import { escapeLiteral } from 'pg'
import { ControllerError, toControllerError } from '../../machines/errors.ts'
import type { AtomicTransaction, Done, Ledger, Queryable } from '../../machines/journal.ts'
import type { Base } from './base.ts'
import { isDataRefused, isLockTimeout, isTransient, unavailable } from './failures.ts'
import { firstOfEach, hasRow } from './plan.ts'
import type { Pool } from './pool.ts'
import { createSteps, type Steps } from './steps.ts'
import { attempt, wasCommitted } from './transaction.ts'

/**
 * Transactions under a lock. The lock, the handler's writes, the dedup marks and the settlement live and die together;
 * the lock is the transaction's own, so nothing has to be unlocked and a process that died holds none.
 *
 * They have connections of their own: however many wait for a lock, claims and settlements go on. The server looks
 * every half second whether we are still there, so a run that was cut off frees its lock also in the middle of a query.
 *
 * How a run ends while the journal does not answer says nothing of its handler, which may have waited for it: that is the
 * outage, whatever was thrown.
 */
export const createUnderLock = (base: Base, locks: Pool): Ledger['underLock'] => {
  const steps = createSteps(base.names, base.replica)

  return async (lock, { waitMs, signal }, run) => {
    const key = base.names.lockKey(escapeLiteral(lock))
    const limit = Math.max(1, Math.round(waitMs))
    const opening = `set local client_connection_check_interval = 500; set local lock_timeout = ${limit};
      select pg_advisory_xact_lock(${key}); set local lock_timeout to default;`
    let running = false
    try {
      const ended = await attempt(
        locks,
        (tx) => {
          running = true
          return run(atomic(base, steps, tx))
        },
        { opening, openingTimeoutMs: limit + lockGraceMs, timeoutMs: 0, signal },
      )
      if (ended.status === 'committed') return ended.result
      if (await base.untilDone(() => wasCommitted(base.pool, ended.number))) return ended.result
      throw unavailable(ended.error)
    } catch (thrown) {
      if (signal.aborted && thrown === signal.reason) throw toControllerError(thrown, 'HANDLER_INTERRUPTED')
      if (!running && isLockTimeout(thrown)) throw lockTimedOut(lock, waitMs)
      if (base.isDown()) throw outage(thrown)
      throw isTransient(thrown) ? unavailable(thrown) : thrown
    }
  }
}

const lockGraceMs = 5_000

/** Marks are written by `mark`, before the handlers run; here `keepMs` has no further effect. */
const atomic = (base: Base, steps: Steps, tx: Queryable): AtomicTransaction => ({
  query: tx.query,
  mark: async (events) => {
    const done = events.map(({ event, keepMs }): Done => ({ as: 'done', event, keepMs }))
    const fresh = new Set(done.length === 0 ? [] : await steps.mark(tx, firstOfEach(done)))
    return done.map((ending) => fresh.has(ending))
  },
  settle: async (endings) => {
    const rows = endings.filter(hasRow)
    if (rows.length > 0) await finishAll(base, steps, tx, rows)
    await emitAll(steps, tx, endings)
    await steps.count(tx, endings)
    const begun = endings.filter((ending) => ending.begun === true).map(({ event }) => event)
    if (begun.length > 0) await steps.endBegun(tx, begun)
  },
})

const finishAll = async (
  base: Base,
  steps: Steps,
  tx: Queryable,
  rows: Parameters<Steps['finish']>[1],
): Promise<void> => {
  const { held } = await steps.finish(tx, rows, undefined)
  if (held === rows.length) return
  base.leaseLost()
  const message = 'Another replica took over an event of this transaction, which therefore has no effect.'
  throw new ControllerError('LEASE_LOST', message, { fields: { rows: rows.length, held } })
}

/** JSON that Postgres refuses spoils a transaction, so it is tried under a savepoint. */
const emitAll = async (steps: Steps, tx: Queryable, endings: readonly Done[]): Promise<void> => {
  if (endings.every(({ emits = [] }) => emits.length === 0)) return
  await tx.query('savepoint emits')
  try {
    await steps.emit(tx, endings, false)
  } catch (thrown) {
    if (!isDataRefused(thrown)) throw thrown
    await tx.query('rollback to savepoint emits')
    await steps.emit(tx, endings, true)
  }
  await tx.query('release savepoint emits')
}

const outage = (cause: unknown): ControllerError =>
  new ControllerError(
    'JOURNAL_UNAVAILABLE',
    'The journal (Postgres) did not answer while a handler ran under a lock.',
    {
      cause,
    },
  )

const lockTimedOut = (lock: string, waitMs: number): ControllerError =>
  new ControllerError('LOCK_TIMED_OUT', `The lock "${lock}" was not free within ${waitMs} ms.`, {
    fields: { lock, waitMs },
  })
