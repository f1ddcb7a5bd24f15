import { ControllerError, toControllerError } from '../../../machines/errors.ts'
import { type ArrivedEvent, identityOf } from '../../../machines/event.ts'
import type { AtomicTransaction, Done, Ledger } from '../../../machines/journal.ts'
import { isTransient, unavailable } from '../../journal/failures.ts'
import type { Locks } from './locks.ts'
import { applyEffects, endBegun } from './settle.ts'
import type { Store } from './store.ts'
import type { Answer, Wire } from './wire.ts'

/** Somebody who has a lock or waits for it. */
export interface Token {
  readonly lock: string
}

export interface UnderLockParts {
  readonly store: Store
  readonly locks: Locks
  readonly wire: Wire
  readonly answer: Answer
  readonly replica: () => string
  /** Locks and waits of this replica, each with what breaks it off. */
  readonly held: Map<Token, (thrown: unknown) => void>
  readonly isCut: () => boolean
}

/** A transaction writes nothing before its end: what it wants to write stands in a list until then. */
export const createUnderLock = ({
  store,
  locks,
  wire,
  answer,
  replica,
  held,
  isCut,
}: UnderLockParts): Ledger['underLock'] => {
  const take = (lock: string, waitMs: number, signal: AbortSignal, token: Token): Promise<void> =>
    new Promise((resolve, reject) => {
      if (isCut()) throw brokenOff()
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
      held.set(token, leave)
      locks.ask(lock, token, () => {
        store.clock.clearTimeout(timer)
        signal.removeEventListener('abort', abort)
        resolve()
      })
    })

  return async (lock, { waitMs, signal }, run) => {
    const token = { lock }
    const check = (): void => {
      if (!held.has(token)) throw brokenOff()
    }
    const aborted = Promise.withResolvers<never>()
    aborted.promise.catch(() => undefined)
    const abort = (): void => aborted.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    try {
      signal.throwIfAborted()
      await wire.call(() => take(lock, waitMs, signal, token), 'once')
      const owner = replica()
      const { tx, commit } = transaction({ store, wire, answer, owner, check })
      const result = await Promise.race([run(tx), aborted.promise])
      await wire.call(() => {
        check()
        commit()
        locks.leave(lock, token)
        held.delete(token)
      }, 'once')
      return result
    } catch (thrown) {
      if (signal.aborted && thrown === signal.reason) throw toControllerError(thrown, 'HANDLER_INTERRUPTED')
      throw isTransient(thrown) ? unavailable(thrown) : thrown
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

interface TransactionParts extends Pick<UnderLockParts, 'store' | 'wire' | 'answer'> {
  readonly owner: string
  /** Throws when the connection was cut. */
  check(): void
}

const transaction = ({ store, wire, answer, owner, check }: TransactionParts): Transaction => {
  const ask = <Result>(happen: () => Result): Promise<Result> =>
    wire.call(() => {
      check()
      return happen()
    }, 'once')
  const marks = new Map<string, { readonly event: ArrivedEvent; readonly keepMs: number }>()
  const statements: Store['statements'] = []
  const endings: Done[] = []

  const checkRows = (): void => {
    for (const { row } of endings) {
      const stored = row === undefined ? undefined : store.rows.get(row.seq)
      if (row === undefined || (stored?.state === 'leased' && stored.leaseBy === row.lease)) continue
      throw new ControllerError('LEASE_LOST', 'Another replica took over an event of this transaction.')
    }
  }

  const query: AtomicTransaction['query'] = <Found extends object>(text: string, values: readonly unknown[] = []) =>
    ask(() => {
      const rows = answer(text, values) as Found[]
      statements.push({ text, values })
      return { rows, rowCount: rows.length }
    })

  return {
    tx: {
      query,
      mark: (events) =>
        ask(() =>
          events.map(({ event, keepMs }) => {
            const identity = identityOf(event)
            if (marks.has(identity) || store.isSeen(event)) return false
            marks.set(identity, { event, keepMs })
            return true
          }),
        ),
      settle: (settled) =>
        ask(() => {
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
        if (ending.begun === true) endBegun(store, owner, ending.event)
      }
      store.statements.push(...statements)
    },
  }
}

/** As Postgres says it when a session is ended. */
export const brokenOff = (): Error =>
  Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' })

const lockTimedOut = (lock: string, waitMs: number): ControllerError =>
  new ControllerError('LOCK_TIMED_OUT', `The lock "${lock}" was not free within ${waitMs} ms.`)
