import type { Delivery, JournalRow } from './driver.ts'
import type { ControllerError } from './errors.ts'
import type { ArrivedEvent } from './event.ts'

/**
 * # The journal contract
 *
 * The journal is the Postgres tables where accepted events, retries, parked events, dedup marks and counters live.
 * Drivers see its `Intake`, jobs its `Ledger`. Both speak of many events per call; whoever has one event at a time gets
 * a grouped version in which a group forms while the one before it is under way.
 *
 * A row is `ready`, `leased` (to a replica) or `parked`; a settled row is gone. A lease belongs to a replica, not to a
 * row: when a replica dies, all its rows become ready again, flagged as redelivered. Each statement that settles rows is
 * fenced by the replica, so a replica that was frozen and declared dead changes nothing when it wakes.
 */
export interface Intake {
  readonly schema: string
  /** The lease owner of this process, as it stands in `event.lease_by`; changes when a frozen replica was declared dead. */
  replica(): string
  /**
   * Makes one webhook durable, leased to this replica. Resolves after the commit. Grouped inside.
   * A repeat of a live or settled event is a `duplicate`; a repeat of a parked one starts it anew.
   * @throws ControllerError JOURNAL_UNAVAILABLE when not known to be durable within `withinMs`.
   */
  accept(arrival: Arrival, withinMs: number): Promise<Acceptance>
  /** Leases up to `limit` due rows of a queue, most urgent first (priority, due, arrival). Waits for nothing. */
  claim(queue: string, limit: number): Promise<readonly Claimed[]>
  /** Calls `wake` when rows of the queue became ready (NOTIFY, or this process itself put them there). Returns the undo. */
  onWake(queue: string, wake: () => void): () => void
  /** One transaction on the journal's database, retried as a whole when it is known not to have committed. */
  transaction<Result>(run: (tx: Queryable) => Promise<Result>): Promise<Result>
}

export interface Queryable {
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ rows: Row[]; rowCount: number | null }>
}

/** An event on its way into the journal. `json` is the payload verbatim, when it is JSON. */
export interface Arrival {
  readonly event: ArrivedEvent
  readonly json?: string
}

export type Acceptance = { readonly status: 'accepted'; readonly row: JournalRow } | { readonly status: 'duplicate' }

/** What a claim found; the driver adds the receipt. */
export type Claimed = Omit<Delivery, 'receipt'> & { readonly row: JournalRow }

/** The built-in queues. Retries, emitted events and orphans wait in `journal`, events of `long` handlers in `long`. */
export const journalQueue = 'journal'
export const longQueue = 'long'

export interface Ledger {
  /**
   * Makes the end of many runs durable in one commit, in their order. Idempotent: it may be called again with the same
   * endings when the outcome of a commit is unknown.
   */
  settle(endings: readonly Ending[]): Promise<void>
  /**
   * Whether processes died with redelivered events. A `suspect` is recorded as held back by this process until `calm` or
   * `beginAlone`; if the process dies before, of something else then, the suspect is `clear` again.
   */
  judge(events: readonly ArrivedEvent[]): Promise<readonly Verdict[]>
  /** From now on a death is no evidence for the suspects that are held back. */
  calm(): Promise<void>
  /**
   * Records that these events run from now on, and that those of `over` do not any more. Tells of each how many processes
   * died with it; where it is not `0` nothing was recorded.
   */
  begin(events: readonly ArrivedEvent[], over?: readonly ArrivedEvent[]): Promise<readonly number[]>
  /** Records that a suspect runs, and no other suspect beside it. */
  beginAlone(event: ArrivedEvent): Promise<void>
  /** Which of the events were handled successfully before, within their dedup window. */
  seen(events: readonly ArrivedEvent[]): Promise<readonly boolean[]>
  /**
   * One transaction under a lock that no other transaction of any replica holds (`pg_advisory_xact_lock`): begins, waits
   * at most `waitMs`, runs, commits. Rolls back when `run` throws or `signal` aborts; the connection is then discarded,
   * so that a handler that still holds `tx` can do no harm.
   * @throws ControllerError LOCK_TIMED_OUT after `waitMs`.
   */
  underLock<Result>(
    lock: string,
    options: { waitMs: number; signal: AbortSignal },
    run: (tx: AtomicTransaction) => Promise<Result>,
  ): Promise<Result>
  /** Replaces what the next run of a `long` event gets as its checkpoint. False when the lease is lost. */
  checkpoint(row: JournalRow, data: unknown): Promise<boolean>
}

/** `guilty`: a process died with this event when it ran alone. */
export type Verdict = 'clear' | 'suspect' | 'guilty'

export interface AtomicTransaction extends Queryable {
  /** Writes the dedup marks of the group; false for an event that has one already: its effect is committed, skip it. */
  mark(events: readonly { event: ArrivedEvent; keepMs: number }[]): Promise<readonly boolean[]>
  /**
   * The settlement inside the transaction. Marks are what `mark` has written: `keepMs` has no effect here.
   * @throws ControllerError LEASE_LOST when a row of the group is not leased to this replica any more.
   */
  settle(endings: readonly Done[]): Promise<void>
}

export type Ending = Done | Failed | Moved | Released

/** Handled, ignored, or a duplicate. */
export interface Done {
  readonly as: 'done'
  readonly event: ArrivedEvent
  readonly row?: JournalRow
  /** Remember the id this long (ms); absent: no dedup mark. With a mark, emits and counters happen only if it is new. */
  readonly keepMs?: number
  readonly emits?: readonly Arrival[]
  /** When each emitted event is due, in ms from now; same length as `emits`. */
  readonly emitDelaysMs?: readonly number[]
  readonly counters?: Readonly<Record<string, number>>
  /** The start of this run was recorded with `begin`; the record ends. */
  readonly begun?: boolean
}

/** A failed attempt: tried again at a later time, or parked. */
export interface Failed {
  readonly as: 'retry' | 'park'
  readonly event: ArrivedEvent
  readonly row?: JournalRow
  /** The payload as it came, when it could not be read. */
  readonly raw?: Uint8Array
  /** The queue a retried event without a row waits in. */
  readonly queue: string
  /** All failed attempts so far, this run's included. */
  readonly attempts: number
  /** One entry an attempt of this run. */
  readonly history: readonly AttemptRecord[]
  /** Until the next run, in ms; 0 when parked. */
  readonly dueInMs: number
  readonly begun?: boolean
}

export interface AttemptRecord {
  readonly attempt: number
  readonly at: string
  readonly error: { readonly code: string; readonly name: string; readonly message: string; readonly stack?: string }
  readonly codeVersion: string
}

/** Handed to another queue of the journal: an event of a `long` handler. */
export interface Moved {
  readonly as: 'move'
  readonly event: ArrivedEvent
  readonly row?: JournalRow
  readonly queue: string
  readonly begun?: boolean
}

/** Given back without an attempt. */
export interface Released {
  readonly as: 'release'
  readonly event: ArrivedEvent
  readonly row?: JournalRow
  readonly begun?: boolean
}

/** What an operator does with parked events. */
export interface Parked {
  list(filter: ParkedFilter): Promise<readonly ParkedSummary[]>
  show(seq: string): Promise<ParkedEvent | undefined>
  /** Makes parked events ready again with all their attempts; returns how many. */
  redrive(filter: ParkedFilter): Promise<number>
  drop(filter: ParkedFilter): Promise<number>
  /** Replaces the payload by this JSON and makes the event ready with all its attempts. False: it is not parked. */
  edit(seq: string, json: string): Promise<boolean>
  /** Parked events by source. */
  counts(): Promise<Readonly<Record<string, number>>>
}

export interface ParkedFilter {
  readonly seqs?: readonly string[]
  readonly source?: string
  readonly type?: string
  readonly code?: string
  /** RFC 3339: nothing that was parked later, so what failed again since somebody looked is left alone. */
  readonly parkedUntil?: string
  /** At most 1,000. */
  readonly limit: number
}

export interface ParkedSummary {
  readonly seq: string
  readonly id: string
  readonly type: string
  readonly via: string
  readonly attempts: number
  readonly parkedAt: string
  readonly error: { readonly code: string; readonly message: string }
}

export interface ParkedEvent extends ParkedSummary {
  readonly event: ArrivedEvent
  readonly history: readonly AttemptRecord[]
  /** Base64 of the payload as it came, when it could not be read. */
  readonly raw?: string
}

export type JournalHealth = { readonly up: true } | { readonly up: false; readonly error: ControllerError }
