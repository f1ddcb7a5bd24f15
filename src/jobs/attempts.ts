import type { ControllerError } from '../../machines/errors.ts'
import type { AttemptRecord, Done, Failed } from '../../machines/journal.ts'
import { journalQueue, longQueue } from '../../machines/journal.ts'
import { nextBackoffMs } from '../../machines/policies.ts'
import type { JobsParts, Run, Task } from './task.ts'

/**
 * Runs `once` until it is `done`, interrupted, or has failed too often for now: first in place, then later through the
 * journal, at last parked. A handler that goes on after its timeout is parked at once: a second run beside it would be
 * one too many.
 */
export const attemptAll = async (
  parts: JobsParts,
  task: Task,
  once: (attempt: number) => Run | Promise<Run>,
  done: (value: unknown) => Promise<void> | undefined,
): Promise<void> => {
  const { retry } = task.handler
  let history: AttemptRecord[] | undefined
  let attempts = task.delivery.row?.attempts ?? 0
  for (let inPlace = retry.inPlace; ; inPlace--) {
    const run = await once(attempts + 1)
    if (run.status === 'done') return done(run.value)
    if (run.status === 'interrupted') return release(parts, task)
    attempts++
    history ??= []
    history.push(recordOf(parts, attempts, run.error))
    const parked = attempts >= retry.attempts || run.status === 'deaf'
    if (!parked && inPlace > 0 && run.error.code === 'HANDLER_FAILED' && !parts.draining.aborted) continue
    return fail(parts, task, { history, attempts, parked, error: run.error })
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
  const { cause } = error
  const name = cause instanceof Error ? cause.name : error.name
  const stack = cause instanceof Error ? cause.stack : undefined
  return {
    attempt,
    at: new Date().toISOString(),
    error: { code: error.code, name, message: error.message, ...(stack === undefined ? {} : { stack }) },
    codeVersion,
  }
}
