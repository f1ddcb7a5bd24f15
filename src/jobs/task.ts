import type { Answer, Delivery } from '../../machines/driver.ts'
import type { ControllerError } from '../../machines/errors.ts'
import type { ArrivedEvent } from '../../machines/event.ts'
import type { Job } from '../../machines/jobs.ts'
import type { Ending, Ledger } from '../../machines/journal.ts'
import type { Linked } from '../../machines/linkedList.ts'
import type { Result } from '../../machines/protocol.ts'
import type { ResolvedHandler } from '../config/resolved.ts'
import type { ControllerLog } from '../log.ts'
import type { Deadlines } from './deadlines.ts'

/** One event with its handler, from admission to settlement. */
export interface Task extends Job, Linked<Task> {
  readonly source: string
  readonly delivery: Delivery
  /** The delivery's event, its data as the schema gave it back. */
  readonly event: ArrivedEvent
  readonly handler: ResolvedHandler
  /** `performance.now()` */
  readonly admittedAt: number
  startedAt: number | undefined
  settled: boolean
  /** The journal has a record of its runs, which ends with it. */
  begun: boolean
  progress: unknown
  /** Present while the handler runs. */
  watch: { interrupt(): void } | undefined
  /** Present while its transaction waits for the lock: gives up the wait. */
  leave: (() => void) | undefined
  /** An operator has taken it out of the wait for its lock: it is given back. */
  left: boolean
}

/** What the parts of the jobs actor share. */
export interface JobsParts {
  readonly ledger: Ledger
  readonly log: ControllerLog
  readonly codeVersion: string
  readonly lockWaitMs: number
  readonly deadlines: Deadlines
  /** Aborts when a drain begins. */
  readonly draining: AbortSignal
  /** Aborts when the time is up. */
  readonly aborting: AbortSignal
  /** Before the handler of `task` runs; `before`: the task of this transaction that ran until now. */
  begins(task: Task, before?: Task): Promise<void>
  /** Makes the ending durable where it has to be, then settles the task; at once where it has not. Never rejects. */
  end(task: Task, ending: Ending, result: Result, answer?: Answer): Promise<void> | undefined
  /** Settles a task whose ending is durable already, or needs not be. */
  settle(task: Task, result: Result, answer?: Answer): void
}

/** How one run of a handler ended. `deaf`: it was timed out and goes on all the same. */
export type Run =
  | { readonly status: 'done'; readonly value: unknown }
  | { readonly status: 'failed' | 'deaf'; readonly error: ControllerError; readonly cause: unknown }
  | { readonly status: 'interrupted' }

export type Unfinished = Exclude<Run, { readonly status: 'done' }>

/** Ids of events that may come again are remembered this long where nothing else is said. */
export const keepDefaultMs: number = 7 * 24 * 3_600_000
