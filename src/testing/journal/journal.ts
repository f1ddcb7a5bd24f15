import type { JournalRow } from '../../../machines/driver.ts'
import { ControllerError } from '../../../machines/errors.ts'
import { type Acceptance, type Arrival, type Intake, journalQueue, type Ledger } from '../../../machines/journal.ts'
import { unavailable } from '../../journal/failures.ts'
import { atMost, createWork, finishMs } from '../../journal/work.ts'
import { type CallAs, createBegun } from './begun.ts'
import type { Locks } from './locks.ts'
import { makeReady, settleIn } from './settle.ts'
import type { Store } from './store.ts'
import { brokenOff, createUnderLock, type Token } from './underLock.ts'
import type { Answer, Wire } from './wire.ts'

/**
 * The journal as one replica sees it: the contract of `machines/journal.ts` over the tables in memory.
 *
 * Every call goes over a wire, which may be slow, or end for ever when the replica dies; what a call does to the tables
 * it does at once and as a whole.
 */
export interface MemoryJournal {
  readonly intake: Intake
  readonly ledger: Ledger
  open(): Promise<void>
  /** Waits a little for what is under way, gives every lease back and leaves. */
  close(): Promise<void>
  /** The process is gone: locks are free at once, leases when somebody looks after the dead. */
  cut(): void
  /** Transactions that are under way come to nothing. */
  breakOff(): void
}

export interface MemoryJournalOptions {
  readonly store: Store
  readonly locks: Locks
  readonly wire: Wire
  readonly answer: Answer
  /** Default 60 s. */
  readonly leaseMs?: number
}

const lostGraceMs = 1_000

export const createMemoryJournal = (options: MemoryJournalOptions): MemoryJournal & LeaseKeeping => {
  const { store, locks, answer, leaseMs = 60_000 } = options
  const usable = Promise.withResolvers<void>()
  const underWay = createWork()
  let opened = false
  let closing = false
  /** Before the journal is open nothing of it can be used. */
  const wire: Wire = {
    push: options.wire.push,
    call: async (apply, patience) => {
      if (!opened && patience === 'once') throw unavailable(new Error('it is not open yet'))
      if (!opened) await usable.promise
      return underWay.add(options.wire.call(apply, patience))
    },
  }
  const wakes = new Map<string, Set<() => void>>()
  const held = new Map<Token, (thrown: unknown) => void>()
  let replica = '0'
  let isCut = false
  let stopListening: () => void = () => undefined

  const listen = (): void => {
    stopListening = store.onWake((queue) => wire.push(() => tell(queue)))
  }
  const tell = (queue: string): void => {
    for (const wake of wakes.get(queue) ?? []) wake()
  }
  const hasLease = (): boolean => store.replicas.has(replica)

  const intake: Intake = {
    schema: 'memory',
    replica: () => replica,
    accept: (arrival, withinMs) => (closing ? Promise.reject(unavailable()) : underWay.add(accept(arrival, withinMs))),
    claim: (queue, limit) => {
      const owner = replica
      return wire.call(() => store.claim(queue, limit, owner), 'once')
    },
    onWake: (queue, wake) => {
      const set = wakes.get(queue) ?? new Set()
      wakes.set(queue, set.add(wake))
      return () => void set.delete(wake)
    },
    transaction: () =>
      Promise.reject(new ControllerError('JOURNAL_UNAVAILABLE', 'There is no database behind this journal.')),
  }

  const callAs: CallAs = async (apply) => {
    await usable.promise
    const owner = replica
    return wire.call(() => apply(owner), 'untilDone')
  }

  const accept = async (arrival: Arrival, withinMs: number): Promise<Acceptance> => {
    const late = Promise.withResolvers<never>()
    let expired = false
    const timer = store.clock.setTimeout(() => {
      expired = true
      late.reject(new ControllerError('JOURNAL_UNAVAILABLE', `no commit within ${withinMs} ms`))
    }, withinMs)
    const committed = callAs(
      (owner): Acceptance => (expired ? { status: 'duplicate' } : acceptIn(store, arrival, owner)),
    )
    committed.then(
      (acceptance) => {
        store.clock.clearTimeout(timer)
        if (expired && acceptance.status === 'accepted') void giveBack(acceptance.row)
      },
      () => store.clock.clearTimeout(timer),
    )
    return Promise.race([committed, late.promise])
  }

  /** Committed for a caller who is gone: somebody handles it all the same. */
  const giveBack = ({ seq, lease }: JournalRow): Promise<void> =>
    callAs(() => {
      const row = store.rows.get(seq)
      if (row?.leaseBy === lease) makeReady(store, row, row.dueAt)
    })

  const ledger: Ledger = {
    settle: async (endings) => {
      const lost = await callAs((owner) => settleIn(store, owner, endings))
      if (lost > 0) await beat()
    },
    ...createBegun(store, callAs),
    seen: (events) => wire.call(() => events.map(store.isSeen), 'untilDone'),
    checkpoint: ({ seq, lease }, data) =>
      callAs(() => {
        const row = store.rows.get(seq)
        if (row?.leaseBy !== lease) return false
        row.checkpoint = JSON.stringify(data)
        return true
      }),
    underLock: createUnderLock({ store, locks, wire, answer, replica: () => replica, held, isCut: () => isCut }),
  }

  const beat = (): Promise<void> =>
    wire.call(() => {
      const known = store.replicas.get(replica)
      if (known === undefined) replica = store.register(leaseMs)
      else known.aliveUntil = store.clock.now() + leaseMs
      store.freeOrphans()
    }, 'once')

  const watch = (): Promise<void> =>
    wire.call(() => {
      const now = store.clock.now()
      let found = false
      for (const [id, { aliveUntil, lostAt = Number.POSITIVE_INFINITY }] of store.replicas) {
        if (id === replica || (aliveUntil >= now && lostAt + lostGraceMs > now)) continue
        found = store.replicas.delete(id)
      }
      if (found) store.freeOrphans()
    }, 'once')

  const open = async (): Promise<void> => {
    await options.wire.call(() => {
      if (!hasLease()) replica = store.register(leaseMs)
      stopListening()
      listen()
      store.freeOrphans()
    }, 'once')
    opened = true
    usable.resolve()
  }

  const breakOff = (): void => {
    for (const end of [...held.values()]) end(brokenOff())
  }

  const cut = (): void => {
    stopListening()
    wakes.clear()
    breakOff()
    isCut = true
    const known = store.replicas.get(replica)
    if (known !== undefined) known.lostAt = store.clock.now()
  }

  return {
    intake,
    ledger,
    beat,
    watch,
    cut,
    breakOff,
    open: () => underWay.add(open()),
    close: async () => {
      closing = true
      await atMost(finishMs, underWay.idle())
      await options.wire.call(() => {
        store.replicas.delete(replica)
        for (const row of store.rows.values()) {
          if (row.state !== 'leased' || row.leaseBy !== replica) continue
          row.state = 'ready'
          row.leaseBy = undefined
          store.wake(row.queue, 0)
        }
        for (const run of store.begun.values()) {
          if (run.leaseBy !== replica) continue
          run.held = false
          run.leaseBy = undefined
        }
        cut()
      }, 'once')
    },
  }
}

/** What a replica does from time to time to count as alive, and to find those that do not. */
export interface LeaseKeeping {
  beat(): Promise<void>
  watch(): Promise<void>
}

const acceptIn = (store: Store, arrival: Arrival, replica: string): Acceptance => {
  const known = store.rowOf(arrival.event)
  if (known?.state === 'parked') store.remove(known)
  else if (known !== undefined) return { status: 'duplicate' }
  if (store.isSeen(arrival.event)) return { status: 'duplicate' }
  const row = store.insert({ ...arrival, queue: journalQueue, state: 'leased', leaseBy: replica })
  return row === undefined
    ? { status: 'duplicate' }
    : { status: 'accepted', row: { seq: row.seq, lease: replica, attempts: 0 } }
}
