import { setTimeout as sleep } from 'node:timers/promises'
import { ControllerError, toControllerError } from '../../machines/errors.ts'
import type { AtomicTransaction, Done, Queryable } from '../../machines/journal.ts'
import { nextBackoffMs } from '../../machines/policies.ts'
import { isBrokenOff, isTransient } from '../journal/failures.ts'
import { Attempts, common } from './attempts.ts'
import { createContext } from './context.ts'
import { runHandler } from './handler.ts'
import { doneEnding } from './plain.ts'
import { type JobsParts, keepDefaultMs, type Run, type Task, type Unfinished } from './task.ts'

/**
 * Atomic handlers: under their lock, inside a transaction that also holds the dedup marks, what they emit, their counters
 * and their settlement.
 *
 * A group shares a transaction in the hope that all goes well. If one of them fails nothing of the group has happened,
 * and each runs alone, so that the failure hits only its own event. A transaction that the database broke off is
 * repeated and costs no attempt; whether one with an unknown outcome was committed, the dedup marks tell.
 */
export const runAtomic = async (parts: JobsParts, lock: string, tasks: readonly Task[]): Promise<void> => {
  let group: GroupRun | undefined
  if (tasks.length > 1) {
    group = await together(parts, lock, tasks, (task) => (task.delivery.row?.attempts ?? 0) + 1)
    if (group.status === 'done') return
  }
  for (const task of tasks)
    await alone(parts, lock, task, group !== undefined && isFinal(group, task) ? group : undefined)
}

const alone = async (parts: JobsParts, lock: string, task: Task, known: Run | undefined): Promise<void> => {
  const attempts = new Attempts(parts, task)
  for (;;) {
    const run: Run = task.left
      ? { status: 'interrupted' }
      : (known ?? (await together(parts, lock, [task], () => attempts.next)))
    if (run.status === 'done') return
    const then = attempts.after(run)
    if (then !== 'again') return then
  }
}

/** What a group has met with and its task would meet with again: a deaf handler, a lock that does not come free. */
const isFinal = (group: GroupRun, task: Task): boolean =>
  (group.status === 'deaf' && group.of === task) || (group.status === 'failed' && group.error.code === 'LOCK_TIMED_OUT')

/** `of`: the task whose handler ended the transaction. */
type GroupRun = Run & { readonly of?: Task }

/** One transaction for all tasks; done only if each of them was. Settles them when it is. */
const together = async (
  parts: JobsParts,
  lock: string,
  tasks: readonly Task[],
  attemptOf: (task: Task) => number,
): Promise<GroupRun> => {
  for (let failures = 1; ; failures++) {
    if (parts.aborting.aborted) return { status: 'interrupted' }
    try {
      const ended = await transact(parts, lock, tasks, attemptOf)
      for (const { task, duplicate, value } of ended) {
        if (duplicate) parts.settle(task, 'duplicate', { status: 'duplicate' })
        else parts.settle(task, 'done', { status: 'done', value })
      }
      return { status: 'done', value: undefined }
    } catch (thrown) {
      if (thrown instanceof HandlerEnded && !thrown.brokenOff) return { ...thrown.run, of: thrown.of }
      const error = toControllerError(thrown, 'HANDLER_FAILED')
      if (error.code === 'HANDLER_INTERRUPTED' || error.code === 'LEASE_LOST') return { status: 'interrupted' }
      const broken = thrown instanceof HandlerEnded || error.code === 'JOURNAL_UNAVAILABLE' || isTransient(thrown)
      if (!broken) return { status: 'failed', error, cause: thrown }
      await sleep(nextBackoffMs({ minMs: 50, maxMs: 2_000 }, failures, Math.random()))
    }
  }
}

interface Ended {
  readonly task: Task
  readonly ending: Done
  readonly duplicate: boolean
  readonly value: unknown
}

const transact = async (
  parts: JobsParts,
  lock: string,
  tasks: readonly Task[],
  attemptOf: (task: Task) => number,
): Promise<readonly Ended[]> => {
  const wait = waiting(parts, tasks)
  const { lockWaitMs: waitMs } = parts
  try {
    return await parts.ledger.underLock(lock, { waitMs, signal: wait.signal }, (tx) => {
      wait.over()
      return runAll(parts, tasks, attemptOf, tx)
    })
  } finally {
    wait.end()
  }
}

/** The wait for a lock, which each of the tasks may leave; the signal that the time is up goes on after it. */
const waiting = ({ aborting }: JobsParts, tasks: readonly Task[]) => {
  const controller = new AbortController()
  const abort = (): void => controller.abort(aborting.reason)
  const leave = (): void => controller.abort(new ControllerError('HANDLER_INTERRUPTED', 'An operator ended the wait.'))
  const over = (): void => {
    for (const task of tasks) task.leave = undefined
  }
  aborting.addEventListener('abort', abort, { once: true })
  for (const task of tasks) task.leave = leave
  return {
    signal: controller.signal,
    over,
    end: () => {
      over()
      aborting.removeEventListener('abort', abort)
    },
  }
}

const runAll = async (
  parts: JobsParts,
  tasks: readonly Task[],
  attemptOf: (task: Task) => number,
  tx: AtomicTransaction,
): Promise<readonly Ended[]> => {
  const identified = tasks.filter(({ event }) => event.identified)
  const marks = identified.map(({ event, handler }) => ({ event, keepMs: handler.dedupMs ?? keepDefaultMs }))
  const fresh = marks.length === 0 ? [] : await tx.mark(marks)
  const duplicates = new Set(identified.filter((_, index) => fresh[index] === false))
  const ended: Ended[] = []
  let brokenOff = false
  const watched: Queryable = {
    query: <Row extends object>(text: string, values?: readonly unknown[]) => {
      const answer = tx.query<Row>(text, values)
      answer.catch((thrown: unknown) => {
        brokenOff ||= isBrokenOff(thrown)
      })
      return answer
    },
  }
  let before: Task | undefined
  for (const task of tasks) {
    if (duplicates.has(task)) {
      ended.push({ task, ending: { as: 'done', ...common(task) }, duplicate: true, value: undefined })
      continue
    }
    if (before !== undefined || task.delivery.redelivered) await parts.begins(task, before)
    before = task.begun ? task : undefined
    const context = createContext(parts, task, attemptOf(task), watched)
    const run = await new Promise<Run>((ended) => runHandler(task, context, parts.deadlines, { ended }))
    if (run.status !== 'done') throw new HandlerEnded(task, run, brokenOff)
    ended.push({ task, ending: doneEnding(task, context), duplicate: false, value: run.value })
  }
  await tx.settle(ended.map(({ ending }) => ending))
  return ended
}

/** Carries the run that ended a transaction through its roll-back. */
class HandlerEnded extends ControllerError {
  readonly of: Task
  readonly run: Unfinished
  /** The transaction itself broke; an error of another database or service that the handler uses is a failure. */
  readonly brokenOff: boolean

  constructor(of: Task, run: Unfinished, brokenOff: boolean) {
    super('HANDLER_FAILED', 'A handler of the transaction was not done.')
    this.of = of
    this.run = run
    this.brokenOff = brokenOff
  }
}
