import type { ControllerError } from './errors.ts'
import type { ArrivedEvent, EventKind } from './event.ts'

/**
 * # The driver contract
 *
 * A driver is the IO behind a source: a factory that knows one library and nothing of XState. The life of a source
 * (connecting, backing off, throttled, draining …) is drawn once, in `source.ts`; a driver only does what it is told.
 *
 * 1. `connect` resolves with a live link, or rejects; it retries nothing itself. One link is one connection epoch.
 * 2. Nothing is delivered before `consume`. Deliveries come in batches through `host.deliver`; a batch has 1 to
 *    `credit.events` deliveries. A driver never has more than `credit.events` deliveries unsettled.
 * 3. `settle` gets every delivery back exactly once, in any order, in batches. It returns at once; a receipt of an
 *    earlier link is ignored. What it does with an outcome is the driver's own affair:
 *    - `ack`      the event is safe or done: tell the broker;
 *    - `release`  not handled, give it back at once, not counted as an attempt;
 *    - `reject`   failed for good and parked in the journal: `ack` it, or dead-letter it where the user asked for that.
 *    Deliveries with a `row` are settled in the journal before `settle` is called; the driver only gets its credit back.
 * 4. `pause` stops intake and keeps the connection, `resume` starts it again. Both may be called in any order and twice.
 *    Deliveries already under way may still arrive after `pause`, never more than the credit.
 * 5. `host.credit` is the credit of this very moment: an operator may change it, and `creditChanged` says that it did. More
 *    is taken at once where there is room now; where there is less than is unsettled already, nothing is delivered until
 *    enough was settled. Legal at any time.
 * 6. `cancel` ends intake for good: after it resolves nothing is delivered any more, and `settle` still works.
 * 7. `disconnect` sends what is still to be sent (acks, commits), closes, and resolves when nothing is left open: no
 *    socket, no timer. It is legal at any time, also twice, also without `cancel`.
 * 8. When the connection is gone the driver calls `host.lost` once for that link, however many signs it saw, and cleans
 *    up after itself. No callback of a driver ever throws into its library.
 */
export interface Driver {
  /** What this driver brings, unless a journal row says otherwise. */
  readonly kind: EventKind
  connect(host: DriverHost): Promise<Link>
}

export interface Link {
  consume(): Promise<void>
  settle(batch: readonly Settlement[]): void
  pause(): void
  resume(): void
  creditChanged(): void
  cancel(): Promise<void>
  disconnect(): Promise<void>
}

/** What a driver may ask of the controller. */
export interface DriverHost {
  /** Name of the configured source. */
  readonly source: string
  /** As it is now, see rule 5. */
  readonly credit: Credit
  readonly log: Log
  deliver(batch: readonly Delivery[]): void
  lost(error: ControllerError): void
  /** A number worth a metric, e.g. `('kafka_lag', 12, { topic, partition })`; it becomes the gauge `koksmat_<name>`. */
  gauge(name: string, value: number, labels?: Readonly<Record<string, string>>): void
  /** One more of what only ever grows, e.g. `('webhook_refused', { reason })`; it becomes the counter `koksmat_<name>_total`. */
  count(name: string, labels?: Readonly<Record<string, string>>): void
}

export interface Credit {
  /** Most deliveries in flight (default 32). */
  readonly events: number
  /** Most payload bytes in flight, counted after arrival (default 64 MiB). The source pauses the driver above it. */
  readonly bytes: number
}

/** One event with all that is needed to settle it. */
export interface Delivery {
  /** The driver's own handle, unique within the source for the life of the process. */
  readonly receipt: number
  readonly event: ArrivedEvent
  /** Size of the payload as it came. */
  readonly bytes: number
  /** The event may have been begun before: the broker said so, or its row had been leased to a replica that died. */
  readonly redelivered: boolean
  /**
   * For brokers that commit a prefix (Kafka): the sequence this event stands in, and where. Releasing an event below a
   * handled one would run the handled one again, so a drain finishes what stands below.
   */
  readonly order?: { readonly stream: string; readonly position: number }
  /** Present when the event is durable already. */
  readonly row?: JournalRow
  /** Present when the payload could not be read; the event is parked with `raw` as it came. */
  readonly defect?: { readonly error: ControllerError; readonly raw: Uint8Array }
}

/** The journal row that holds an event. */
export interface JournalRow {
  readonly seq: string
  /** The replica that it was leased to when it was taken: only under this lease does its settlement have an effect. */
  readonly lease: string
  /** Failed attempts before this run. */
  readonly attempts: number
  /** What a `long` handler saved with `checkpoint`. */
  readonly checkpoint?: unknown
}

export type Outcome = 'ack' | 'release' | 'reject'

export interface Settlement {
  readonly receipt: number
  readonly outcome: Outcome
  /** What the handler returned or threw; only webhooks with `reply: 'settled'` look at it. */
  readonly answer?: Answer
}

export type Answer =
  | { readonly status: 'done'; readonly value: unknown }
  | { readonly status: 'retrying' | 'parked' | 'ignored' | 'duplicate' | 'released'; readonly error?: ControllerError }

/** The part of pino that everything below `src/` may use. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
