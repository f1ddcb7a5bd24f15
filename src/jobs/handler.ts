import { ControllerError, toControllerError } from '../../machines/errors.ts'
import type { RunContext } from './context.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import type { Run, Task } from './task.ts'

/** How long a handler may take to notice that its signal was aborted. */
const noticeMs = 500

/** Who is told how a run ended: once, and never before `runHandler` has returned. */
export interface Runner {
  ended(run: Run): void
}

/**
 * Runs a handler once. It ends when the handler does, or `noticeMs` after its timeout or an interruption, whatever the
 * handler is doing then; at once where the handler gives no promise.
 */
export const runHandler = (task: Task, run: RunContext, deadlines: Deadlines, runner: Runner): void => {
  const { handler, event } = task
  const startedAt = deadlines.now()
  try {
    const value = handler.handle?.(event as Parameters<NonNullable<typeof handler.handle>>[0], run.context)
    if (isThenable(value)) new Watch(task, run, deadlines, startedAt, runner).over(value)
    else queueMicrotask(() => runner.ended({ status: 'done', value }))
  } catch (cause) {
    queueMicrotask(() => runner.ended({ status: 'failed', error: toControllerError(cause, 'HANDLER_FAILED'), cause }))
  }
}

/** Of a handler that gave a promise, until it is over. A class, because there is one for each event. */
class Watch implements Deadline {
  at: number
  previous: Deadline | undefined
  next: Deadline | undefined
  readonly #task: Task
  readonly #run: RunContext
  readonly #deadlines: Deadlines
  readonly #runner: Runner
  #cut: { readonly by: 'deaf' | 'interrupted'; readonly reason: ControllerError } | undefined

  constructor(task: Task, run: RunContext, deadlines: Deadlines, startedAt: number, runner: Runner) {
    const { timeoutMs } = task.handler
    this.at = startedAt + (timeoutMs ?? 0)
    this.#task = task
    this.#run = run
    this.#deadlines = deadlines
    this.#runner = runner
    task.watch = this
    if (timeoutMs !== undefined) deadlines.add(this)
  }

  /** First the timeout; once the signal is aborted, the end of the time to notice it. */
  reached(): void {
    const cut = this.#cut
    if (cut === undefined) this.#stop('deaf', timedOut(this.#task))
    else if (cut.by === 'interrupted') this.#end({ status: 'interrupted' })
    else this.#end({ status: 'deaf', error: cut.reason, cause: cut.reason })
  }

  interrupt(): void {
    this.#stop('interrupted', new ControllerError('HANDLER_INTERRUPTED', 'The controller stops.'))
  }

  over(value: PromiseLike<unknown>): void {
    Promise.resolve(value).then(
      (settled) => this.#end({ status: 'done', value: settled }),
      (cause: unknown) => this.#failed(cause),
    )
  }

  #failed(cause: unknown): void {
    const by = this.#cut?.by
    if (by === 'interrupted') this.#end({ status: 'interrupted' })
    else
      this.#end({
        status: 'failed',
        error: by === 'deaf' ? timedOut(this.#task) : toControllerError(cause, 'HANDLER_FAILED'),
        cause,
      })
  }

  #stop(by: 'deaf' | 'interrupted', reason: ControllerError): void {
    if (this.#cut?.by === 'interrupted') return
    this.#deadlines.remove(this)
    this.#cut = { by, reason }
    this.#run.abort(reason)
    this.at = this.#deadlines.now() + noticeMs
    this.#deadlines.add(this)
  }

  #end(ended: Run): void {
    this.#deadlines.remove(this)
    this.#task.watch = undefined
    this.#runner.ended(ended)
  }
}

/** Also what query builders return: it only begins when somebody waits for it. */
const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

const timedOut = ({ handler }: Task): ControllerError =>
  new ControllerError('HANDLER_TIMED_OUT', `The handler of ${handler.type} took longer than ${handler.timeoutMs} ms.`)
