import { ControllerError, toControllerError } from '../../../machines/errors.ts'
import { type ArrivedEvent, identityOf } from '../../../machines/event.ts'
import type { AtomicTransaction, Done, Ledger } from '../../../machines/journal.ts'
import type { Locks } from './locks.ts'
import { applyEffects, endBegun } from './settle.ts'
import type { Store } from './store.ts'
import type { Answer, Wire } from './wire.ts'

export interface UnderLockParts {
  readonly store: Store
  readonly locks: Locks
  readonly wire: Wire
  readonly answer: Answer
  readonly replica: () => string
  /** Locks and waits of this replica, to be left when it dies. */
  readonly held: Set<{ readonly lock: string }>
}

/** A transaction writes nothing before its end: what it wants to write stands in a list until then. */
export const createUnderLock = ({ store, locks, wire, answer, replica, held }: UnderLockParts): Ledger['underLock'] => {
  const take = (lock: string, waitMs: number, signal: AbortSignal, token: { readonly lock: string }): Promise<void> =>
    new Promise((resolve, reject) => {
      const leave = (thrown: unknown): void => {
        store.clock.clearTimeout(timer)
        signal.removeEventListener('abort', abort)
        locks.leave(lock, token)
        held.delete(token)
        reject(thrown)
      }
      const abort = (): void => leave(signal.reason)
      const timer = store.clock.setTimeout(() => leave(lockTimedOut(lock, waitMs)), waitMs)
      signal.addEventListener('abort', abort, { once: true })
      held.add(token)
      locks.ask(lock, token, () => {
        store.clock.clearTimeout(timer)
        signal.removeEventListener('abort', abort)
        resolve()
      })
    })

  return async (lock, { waitMs, signal }, run) => {
    const token = { lock }
    const aborted = Promise.withResolvers<never>()
    aborted.promise.catch(() => undefined)
    const abort = (): void => aborted.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    try {
      signal.throwIfAborted()
      await wire.call(() => take(lock, waitMs, signal, token))
      const owner = replica()
      const { tx, commit } = transaction(store, wire, answer, owner)
      const result = await Promise.race([run(tx), aborted.promise])
      await wire.call(() => {
        if (!held.has(token)) throw new ControllerError('JOURNAL_UNAVAILABLE', 'The connection was cut.')
        commit()
        locks.leave(lock, token)
        held.delete(token)
      })
      return result
    } catch (thrown) {
      if (signal.aborted && thrown === signal.reason) throw toControllerError(thrown, 'HANDLER_INTERRUPTED')
      throw thrown
    } finally {
      signal.removeEventListener('abort', abort)
      locks.leave(lock, token)
      held.delete(token)
    }
  }
}

interface Transaction {
  readonly tx: AtomicTransaction
  /** @throws ControllerError LEASE_LOST, JOURNAL_UNAVAILABLE; nothing is written then */
  commit(): void
}

const transaction = (store: Store, wire: Wire, answer: Answer, replica: string): Transaction => {
  const marks = new Map<string, { readonly event: ArrivedEvent; readonly keepMs: number }>()
  const statements: Store['statements'] = []
  const endings: Done[] = []

  const checkRows = (): void => {
    for (const { row } of endings) {
      const stored = row === undefined ? undefined : store.rows.get(row.seq)
      if (row === undefined || (stored?.state === 'leased' && stored.leaseBy === replica)) continue
      throw new ControllerError('LEASE_LOST', 'Another replica took over an event of this transaction.')
    }
  }

  const query: AtomicTransaction['query'] = <Found extends object>(text: string, values: readonly unknown[] = []) =>
    wire.call(() => {
      const rows = answer(text, values) as Found[]
      statements.push({ text, values })
      return { rows, rowCount: rows.length }
    })

  return {
    tx: {
      query,
      mark: (events) =>
        wire.call(() =>
          events.map(({ event, keepMs }) => {
            const identity = identityOf(event)
            if (marks.has(identity) || store.isSeen(event)) return false
            marks.set(identity, { event, keepMs })
            return true
          }),
        ),
      settle: (settled) =>
        wire.call(() => {
          endings.push(...settled)
          checkRows()
        }),
    },
    commit: () => {
      checkRows()
      for (const { event } of marks.values()) {
        if (store.isSeen(event)) throw new ControllerError('JOURNAL_UNAVAILABLE', 'Two transactions wrote one mark.')
      }
      for (const { event, keepMs } of marks.values()) store.mark(event, keepMs)
      for (const ending of endings) {
        const row = ending.row === undefined ? undefined : store.rows.get(ending.row.seq)
        if (row !== undefined) store.remove(row)
        applyEffects(store, ending)
        if (ending.begun === true) endBegun(store, replica, ending.event)
      }
      store.statements.push(...statements)
    },
  }
}

const lockTimedOut = (lock: string, waitMs: number): ControllerError =>
  new ControllerError('LOCK_TIMED_OUT', `The lock "${lock}" was not free within ${waitMs} ms.`)
