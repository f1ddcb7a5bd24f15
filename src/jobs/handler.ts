import { ControllerError } from '../../machines/errors.ts'
import type { RunContext } from './context.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import type { Run, Task } from './task.ts'

/** How long a handler may take to notice that its signal was aborted. */
const noticeMs = 500

/**
 * Runs a handler once. Ends when the handler does, or `noticeMs` after its timeout or an interruption, whatever the
 * handler is doing then; at once where the handler gives no promise.
 */
export const runHandler = (task: Task, run: RunContext, deadlines: Deadlines): Run | Promise<Run> => {
  const { handler, event } = task
  const startedAt = deadlines.now()
  try {
    const value = handler.handle?.(event as Parameters<NonNullable<typeof handler.handle>>[0], run.context)
    return isThenable(value) ? untilOver(task, run, deadlines, value, startedAt) : { status: 'done', value }
  } catch (thrown) {
    return { status: 'failed', error: failure(thrown), cause: thrown }
  }
}

const untilOver = (
  task: Task,
  run: RunContext,
  deadlines: Deadlines,
  value: PromiseLike<unknown>,
  startedAt: number,
): Promise<Run> =>
  new Promise((resolve) => {
    const { timeoutMs } = task.handler
    let cut: 'deaf' | 'interrupted' | undefined

    const end = (ended: Run): void => {
      deadlines.remove(deadline)
      task.interrupt = undefined
      resolve(ended)
    }
    const stop = (why: 'deaf' | 'interrupted', reason: ControllerError): void => {
      if (cut === 'interrupted') return
      deadlines.remove(deadline)
      cut = why
      run.abort(reason)
      deadline.at = deadlines.now() + noticeMs
      deadline.reached = () =>
        end(why === 'deaf' ? { status: 'deaf', error: reason, cause: reason } : { status: 'interrupted' })
      deadlines.add(deadline)
    }
    const deadline: Deadline = {
      at: startedAt + (timeoutMs ?? 0),
      reached: () => stop('deaf', timedOut(task)),
    }

    task.interrupt = () => stop('interrupted', new ControllerError('HANDLER_INTERRUPTED', 'The controller stops.'))
    if (timeoutMs !== undefined) deadlines.add(deadline)
    Promise.resolve(value).then(
      (settled) => end({ status: 'done', value: settled }),
      (cause: unknown) => {
        if (cut === 'interrupted') end({ status: 'interrupted' })
        else end({ status: 'failed', error: cut === 'deaf' ? timedOut(task) : failure(cause), cause })
      },
    )
  })

/** Also what query builders return: it only begins when somebody waits for it. */
const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

const timedOut = ({ handler }: Task): ControllerError =>
  new ControllerError('HANDLER_TIMED_OUT', `The handler of ${handler.type} took longer than ${handler.timeoutMs} ms.`)

const failure = (cause: unknown): ControllerError =>
  cause instanceof ControllerError
    ? cause
    : new ControllerError('HANDLER_FAILED', cause instanceof Error ? cause.message : String(cause), { cause })
