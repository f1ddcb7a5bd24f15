import { fromCallback } from 'xstate'
import type { Answer, Delivery } from '../../machines/driver.ts'
import { createScheduler, type Work } from '../../machines/jobs.ts'
import { type Ending, type Ledger, longQueue } from '../../machines/journal.ts'
import { LinkedList } from '../../machines/linkedList.ts'
import type { JobsCommand, JobsSettled, Result } from '../../machines/protocol.ts'
import type { ResolvedHandler } from '../config/resolved.ts'
import { grouped } from '../journal/group.ts'
import type { ControllerLog } from '../log.ts'
import { type Admission, createAdmission } from './admission.ts'
import { runAtomic } from './atomic.ts'
import { common, park, release } from './attempts.ts'
import { type Clock, createDeadlines } from './deadlines.ts'
import { calmDefaultMs, createDeathWatch } from './deaths.ts'
import { createOutbox } from './outbox.ts'
import { runPlain } from './plain.ts'
import { createRouter } from './router.ts'
import type { JobsParts, Task } from './task.ts'

/**
 * The jobs actor: runs handlers for admitted events, in the order that `machines/jobs.ts` decides, and reports how they
 * ended. A running handler is a promise here, not an actor.
 *
 * Commands come from the controller; settlements go back to it, a batch for each turn of the event loop.
 */
export interface JobsOptions {
  readonly handlers: readonly ResolvedHandler[]
  readonly concurrency: number
  readonly lockWaitMs: number
  readonly codeVersion: string
  /** Events with which a process died wait so long before they run again (default 10 s). */
  readonly calmMs?: number
  readonly ledger: Ledger
  readonly log: ControllerLog
  /** For timeouts of handlers (default: the timers of the process). */
  readonly clock?: Clock
  observe(source: string, result: Result, seconds: number): void
}

/** What can be seen of the jobs from outside. */
export interface JobsView {
  running(): number
  waiting(): number
  waitingFor(lock: string): number
  /** Not settled, or given back because the time was up. */
  unsettled(): readonly Task[]
}

/** Which of the events that wait for a lock here: one of a source, or all. */
export interface Waiters {
  readonly lock: string
  readonly source?: string
  readonly event?: string
}

export const createJobs = (options: JobsOptions) => {
  const { ledger, log, concurrency, lockWaitMs, codeVersion, clock = processClock, calmMs = calmDefaultMs } = options
  const scheduler = createScheduler<Task>({ concurrency })
  const admissionOf = createAdmission(createRouter(options.handlers))
  const unsettled = new LinkedList<Task>()
  const aborted = new Set<Task>()
  const drain = new AbortController()
  const abort = new AbortController()
  const deadlines = createDeadlines(clock)
  let send: (settled: JobsSettled) => void = () => undefined
  let arriving: Promise<void> | undefined

  const outbox = createOutbox((batches) => send({ type: 'jobs.settled', batches }))
  const endings = grouped<Ending, undefined>(
    async (group) => {
      await ledger.settle(group)
      return group.map(() => undefined)
    },
    { maxSize: 1_000 },
  )

  const settle = (task: Task, result: Result, answer?: Answer): void => {
    if (task.settled) return
    task.settled = true
    unsettled.delete(task)
    options.observe(task.source, result, (performance.now() - task.admittedAt) / 1_000)
    outbox(task, result, answer)
  }

  const end: JobsParts['end'] = (task, ending, result, answer) => {
    if (task.settled) return undefined
    if (isDurable(ending)) return endDurably(task, ending, result, answer)
    settle(task, result, answer)
    return undefined
  }

  const endDurably = async (task: Task, ending: Ending, result: Result, answer?: Answer): Promise<void> => {
    try {
      await endings.add(ending)
    } catch (thrown) {
      log.error(
        { err: thrown, source: task.source, id: task.event.id },
        'settlement not written; the event comes again',
      )
      settle(task, 'released', { status: 'released' })
      return
    }
    settle(task, result, answer)
  }

  const parts: JobsParts = {
    ledger,
    log,
    codeVersion,
    lockWaitMs,
    deadlines,
    draining: drain.signal,
    aborting: abort.signal,
    begins: (task, before) => deaths.begins(task, before),
    end,
    settle,
  }
  const deaths = createDeathWatch({
    ledger,
    strict: concurrency === 1,
    calmMs,
    clock,
    admit: (task) => {
      scheduler.admit(task)
      pump()
    },
    refuse: (task, error) => void park(parts, task, error),
  })

  const run = (work: Work<Task>): void => {
    const { lock, jobs } = work
    const now = performance.now()
    for (const task of jobs) task.startedAt = now
    const over = (thrown?: unknown): void => {
      if (thrown !== undefined) {
        log.error({ err: thrown }, 'a job was given back because the journal could not be used')
        for (const task of jobs) settle(task, 'released', { status: 'released' })
      }
      scheduler.finish(work)
      for (const task of jobs) deaths.finished(task)
      pump()
    }
    if (lock === undefined) runPlain(parts, jobs[0] as Task, over)
    else runAtomic(parts, lock, jobs).then(() => over(), over)
  }

  const pump = (): void => {
    for (let work = scheduler.next(); work !== undefined; work = scheduler.next()) run(work)
  }

  const place = ({ task, refusal }: Admission): void => {
    unsettled.add(task)
    const { handler } = task
    if (refusal !== undefined) void park(parts, task, refusal)
    else if (drain.signal.aborted) void release(parts, task)
    else if (handler.handle === undefined) {
      void end(task, { as: 'done', ...common(task) }, 'ignored', { status: 'ignored' })
    } else if (handler.long && task.source !== longQueue) {
      void end(task, { as: 'move', ...common(task), queue: longQueue }, 'moved', { status: 'retrying' })
    } else deaths.enter(task)
  }

  /** Asynchronous schemas must not let later events overtake: everything behind one waits for it. */
  const admit = (source: string, delivery: Delivery): void => {
    if (arriving !== undefined) {
      queueBehind(arriving.then(() => admissionOf(source, delivery)).then(place))
      return
    }
    const admission = admissionOf(source, delivery)
    if (admission instanceof Promise) queueBehind(admission.then(place))
    else place(admission)
  }

  const queueBehind = (turn: Promise<void>): void => {
    arriving = turn
    void turn.finally(() => {
      if (arriving === turn) arriving = undefined
    })
  }

  const giveBack = (source: string, delivery: Delivery): void => {
    void Promise.resolve(admissionOf(source, delivery)).then(({ task }) => {
      unsettled.add(task)
      return release(parts, task)
    })
  }

  const receive = (command: JobsCommand): void => {
    switch (command.type) {
      case 'jobs.admit':
        admit(command.source, command.delivery)
        break
      case 'jobs.release':
        giveBack(command.source, command.delivery)
        break
      case 'jobs.drain':
        drain.abort()
        for (const task of deaths.drain()) scheduler.admit(task)
        for (const task of scheduler.drain()) void release(parts, task)
        pump()
        break
      case 'jobs.abort':
        for (const task of unsettled.all()) aborted.add(task)
        drain.abort()
        abort.abort()
        for (const task of deaths.drain()) scheduler.admit(task)
        for (const task of scheduler.abandon()) settle(task, 'released', { status: 'released' })
        for (const task of unsettled.all()) {
          if (task.watch !== undefined) task.watch.interrupt()
          else settle(task, 'released', { status: 'released' })
        }
        break
    }
  }

  const releaseWaiters = ({ lock, source, event }: Waiters): number => {
    const isMeant = (task: Task): boolean =>
      task.lock === lock && task.source === (source ?? task.source) && task.event.id === (event ?? task.event.id)
    const queued = scheduler.withdraw(isMeant)
    for (const task of queued) {
      void release(parts, task)
      deaths.finished(task)
    }
    // Of those that a stream commits by prefix, later ones have begun with it.
    const inWait = unsettled.all().filter((task) => isMeant(task) && task.leave && task.order === undefined)
    for (const task of inWait) task.left = true
    for (const { leave } of inWait) leave?.()
    pump()
    return queued.length + inWait.length
  }

  const logic = fromCallback<JobsCommand>(({ sendBack, receive: onCommand }) => {
    send = sendBack
    onCommand(receive)
    return deadlines.clear
  })
  const view: JobsView = {
    running: scheduler.running,
    waiting: () => scheduler.waiting().length + deaths.waiting(),
    waitingFor: scheduler.waitingFor,
    unsettled: () => [...aborted.union(new Set(unsettled.all()))],
  }
  return { logic, view, releaseWaiters }
}

const processClock: Clock = {
  now: () => performance.now(),
  setTimeout: (fire, ms) => setTimeout(fire, ms),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
}

/** The happy path of a broker event with a plain handler needs no journal. */
const isDurable = (ending: Ending): boolean => {
  if (ending.as === 'retry' || ending.as === 'park' || ending.as === 'move') return true
  if (ending.row !== undefined || ending.begun === true) return true
  return ending.as === 'done' && (ending.keepMs ?? ending.emits ?? ending.counters) !== undefined
}
