import type { ControllerError } from '../../machines/errors.ts'
import type { AttemptRecord, Done, Failed } from '../../machines/journal.ts'
import { journalQueue, longQueue } from '../../machines/journal.ts'
import { nextBackoffMs } from '../../machines/policies.ts'
import type { JobsParts, Task, Unfinished } from './task.ts'

/**
 * The attempts of one event, and what follows from a run: another one in place, later through the journal, or none any
 * more. A handler that goes on after its timeout is parked at once: a second run beside it would be one too many.
 */
export class Attempts {
  readonly parts: JobsParts
  readonly task: Task
  #failed: number
  #inPlace: number
  #history: AttemptRecord[] | undefined

  constructor(parts: JobsParts, task: Task) {
    this.parts = parts
    this.task = task
    this.#failed = task.delivery.row?.attempts ?? 0
    this.#inPlace = task.handler.retry.inPlace
  }

  /** The number of the next one, from 1. */
  get next(): number {
    return this.#failed + 1
  }

  /** `again`: at once. Otherwise the event has ended for now; a promise where that has to become durable. */
  after(run: Unfinished): 'again' | Promise<void> | undefined {
    const { parts, task } = this
    if (run.status === 'interrupted') return release(parts, task)
    this.#failed++
    this.#history ??= []
    this.#history.push(recordOf(parts, this.#failed, run.error))
    const parked = this.#failed >= task.handler.retry.attempts || run.status === 'deaf'
    const mayGoOn = run.error.code === 'HANDLER_FAILED' && !parts.draining.aborted
    if (!parked && mayGoOn && this.#inPlace-- > 0) return 'again'
    return fail(parts, task, { history: this.#history, attempts: this.#failed, parked, error: run.error })
  }
}

const fail = (
  parts: JobsParts,
  task: Task,
  failed: { history: AttemptRecord[]; attempts: number; parked: boolean; error: ControllerError },
): Promise<void> | undefined => {
  const { history, attempts, parked, error } = failed
  const { backoffMs, maxBackoffMs } = task.handler.retry
  const dueInMs = parked ? 0 : nextBackoffMs({ minMs: backoffMs, maxMs: maxBackoffMs }, attempts, Math.random())
  const { id, type } = task.event
  const fields = { source: task.source, id, type, attempts, code: error.code, reason: error.message }
  if (parked) parts.log.warn(fields, 'event parked')
  else parts.log.debug({ ...fields, dueInMs }, 'attempt failed')
  const ending = failedEnding(task, { as: parked ? 'park' : 'retry', attempts, history, dueInMs })
  return parts.end(task, ending, parked ? 'parked' : 'retried', { status: parked ? 'parked' : 'retrying', error })
}

/** Parked without a run: nobody could handle it. */
export const park = async (parts: JobsParts, task: Task, error: ControllerError): Promise<void> => {
  const attempts = task.delivery.row?.attempts ?? 0
  const { id, type } = task.event
  parts.log.warn({ source: task.source, id, type, code: error.code, reason: error.message }, 'event parked')
  const history = [recordOf(parts, attempts, error)]
  const ending = failedEnding(task, { as: 'park', attempts, history, dueInMs: 0 })
  await parts.end(task, ending, 'parked', { status: 'parked', error })
}

export const release = (parts: JobsParts, task: Task): Promise<void> | undefined =>
  parts.end(task, { as: 'release', ...common(task) }, 'released', { status: 'released' })

const failedEnding = (task: Task, failed: Pick<Failed, 'as' | 'attempts' | 'history' | 'dueInMs'>): Failed => {
  const { defect } = task.delivery
  return {
    ...failed,
    ...common(task),
    ...(defect === undefined ? {} : { raw: defect.raw }),
    queue: task.handler.long ? longQueue : journalQueue,
  }
}

/** The event as it came, not as the schema gave it back: the next run starts from the same. */
export const common = ({ delivery: { event, row }, begun }: Task): Pick<Done, 'event' | 'row' | 'begun'> => {
  if (row === undefined) return begun ? { event, begun } : { event }
  return begun ? { event, row, begun } : { event, row }
}

const recordOf = ({ codeVersion }: JobsParts, attempt: number, error: ControllerError): AttemptRecord => {
  const { name, stack } = originOf(error)
  return {
    attempt,
    at: new Date().toISOString(),
    error: { code: error.code, name, message: error.message, ...(stack === undefined ? {} : { stack }) },
    codeVersion,
  }
}

/** Of what was thrown by the handler, if that can be read. */
const originOf = ({ name, cause }: ControllerError): { readonly name: string; readonly stack?: string | undefined } => {
  try {
    return cause instanceof Error ? { name: cause.name, stack: cause.stack } : { name }
  } catch {
    return { name }
  }
}
