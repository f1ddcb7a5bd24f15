import type { Credit, Delivery, Settlement } from './driver.ts'
import type { ControllerError } from './errors.ts'
import type { EventKind } from './event.ts'

/**
 * What the actors say to each other. Facts go up in the past tense, commands go down in the imperative.
 *
 * ```
 * link ──link.*──▸ source ──queue.event | database.trigger | webhook.event, source.moved──▸ controller
 * link ◂─link.*─── source ◂─source.listen … source.settle, source.drain, source.abort────── controller
 *                                             controller ──jobs.admit, jobs.drain, jobs.abort──▸ jobs
 *                                             controller ◂─jobs.settled───────────────────────── jobs
 *                                             controller ──journal.close──▸ journal, ◂─journal.up | down | closed
 * operator's hand ──controller.*──▸ controller ──operator.perform──▸ operator, ◂─operator.performed
 *                  ◂─controller.answered (emitted), one for each command
 * ```
 */

/** How a job ended, as its source counts it. `released` is the only one that leaves the event where it was. */
export const results = ['done', 'ignored', 'duplicate', 'retried', 'parked', 'moved', 'released'] as const

export type Result = (typeof results)[number]

/** One event on its way in; the three kinds are three transitions of the controller. */
export interface EventArrived {
  readonly type: EventKind
  readonly source: string
  readonly delivery: Delivery
}

/** A source is in another state now. */
export interface SourceMoved {
  readonly type: 'source.moved'
  readonly source: string
  readonly state: SourceState
  readonly error?: ControllerError
}

export const sourceStates = [
  'connecting',
  'waiting',
  'listening',
  'throttled',
  'stalled',
  'paused',
  'backingOff',
  'draining',
  'disconnecting',
  'closed',
] as const

export type SourceState = (typeof sourceStates)[number]

/** What was settled, gathered while the batch before was under way. */
export interface Settled {
  readonly settlements: readonly Settlement[]
  readonly bytes: number
  readonly results: Readonly<Partial<Record<Result, number>>>
}

/** Of one source. */
export interface SettledBatch extends Settled {
  readonly source: string
}

export interface JobsSettled {
  readonly type: 'jobs.settled'
  readonly batches: readonly SettledBatch[]
}

export type JournalFact =
  | { readonly type: 'journal.up' }
  | { readonly type: 'journal.down'; readonly error: ControllerError }
  | { readonly type: 'journal.closed' }

/**
 * Of a command: who wants it, and the number its answer goes by. What a command carries of payloads and secrets stays
 * with whoever asked, under this number: events may be looked at.
 */
export interface Asked {
  readonly id: string
  readonly by: string
}

/** What an operator may want; each gets exactly one `controller.answered`, unless the controller ends before. */
export type OperatorCommand = { readonly asked: Asked } & (
  | { readonly type: 'controller.pause' | 'controller.resume'; readonly source: string }
  | { readonly type: 'controller.setCredit'; readonly source: string; readonly credit: Partial<Credit> }
  | { readonly type: 'controller.redrive' | 'controller.drop' | 'controller.edit' }
  | { readonly type: 'controller.releaseWaiter'; readonly lock: string }
  | { readonly type: 'controller.setLogLevel' }
  | { readonly type: 'controller.rotateSecret'; readonly source: string }
)

export type ControllerCommand =
  /** Without `asked`: a signal, or the program around. */
  | { readonly type: 'controller.drain'; readonly reason: string; readonly asked?: Asked }
  | { readonly type: 'controller.abort'; readonly reason: string }
  | OperatorCommand

/** How a command ended; `facts` tell how much was done. A refusal has changed nothing. */
export type CommandResult =
  | { readonly status: 'done'; readonly facts: Readonly<Record<string, unknown>> }
  | { readonly status: 'refused'; readonly error: ControllerError }

export interface CommandAnswered {
  readonly type: 'controller.answered'
  readonly asked: Asked
  readonly result: CommandResult
}

/** The operator child does what needs IO: parked events, locks, the log, secrets. */
export type OperatorFact = {
  readonly type: 'operator.performed'
  readonly asked: Asked
  readonly result: CommandResult
}

export type OperatorTask = { readonly type: 'operator.perform'; readonly asked: Asked }

export type SourceCommand =
  | { readonly type: 'source.listen' }
  | ({ readonly type: 'source.settle' } & Settled)
  | { readonly type: 'source.pause' }
  | { readonly type: 'source.resume' }
  | { readonly type: 'source.setCredit'; readonly credit: Credit }
  | { readonly type: 'source.drain' }
  | { readonly type: 'source.abort' }

/** What the link of a driver reports; `jitter` is a random number in [0, 1), so that the machine needs none. */
export type LinkFact =
  | { readonly type: 'link.connected' }
  | { readonly type: 'link.failed'; readonly error: ControllerError; readonly jitter: number }
  | { readonly type: 'link.delivered'; readonly deliveries: readonly Delivery[] }
  | { readonly type: 'link.lost'; readonly error: ControllerError; readonly jitter: number }
  | { readonly type: 'link.cancelled' }
  | { readonly type: 'link.disconnected' }

export type LinkCommand =
  | { readonly type: 'link.connect' }
  | { readonly type: 'link.consume' }
  | { readonly type: 'link.settle'; readonly settlements: readonly Settlement[] }
  | { readonly type: 'link.pause' }
  | { readonly type: 'link.resume' }
  | { readonly type: 'link.setCredit'; readonly credit: Credit }
  | { readonly type: 'link.cancel' }
  | { readonly type: 'link.disconnect' }

export type JobsCommand =
  | { readonly type: 'jobs.admit'; readonly source: string; readonly delivery: Delivery }
  | { readonly type: 'jobs.release'; readonly source: string; readonly delivery: Delivery }
  | { readonly type: 'jobs.drain' }
  | { readonly type: 'jobs.abort' }

export type JournalCommand = { readonly type: 'journal.close' }
