import { ControllerError } from '../../machines/errors.ts'
import type { RunContext } from './context.ts'
import type { Clock, Run, Task } from './task.ts'

/** How long a handler may take to notice that its signal was aborted. */
const noticeMs = 500

/**
 * Runs a handler once. Ends when the handler does, or `noticeMs` after its timeout or an interruption, whatever the
 * handler is doing then.
 */
export const runHandler = (clock: Clock, task: Task, run: RunContext): Promise<Run> =>
  new Promise((resolve) => {
    const { handler, event } = task
    let timer: unknown
    let cut: 'deaf' | 'interrupted' | undefined

    const end = (ended: Run): void => {
      clock.clearTimeout(timer)
      task.interrupt = undefined
      resolve(ended)
    }
    const failed = (cause: unknown): void => {
      if (cut === 'interrupted') end({ status: 'interrupted' })
      else end({ status: 'failed', error: cut === 'deaf' ? timedOut(task) : failure(cause), cause })
    }
    const stop = (why: 'deaf' | 'interrupted', reason: ControllerError): void => {
      if (cut === 'interrupted') return
      clock.clearTimeout(timer)
      cut = why
      run.abort(reason)
      timer = clock.setTimeout(
        () => end(why === 'deaf' ? { status: 'deaf', error: reason, cause: reason } : { status: 'interrupted' }),
        noticeMs,
      )
    }

    task.interrupt = () => stop('interrupted', new ControllerError('HANDLER_INTERRUPTED', 'The controller stops.'))
    if (handler.timeoutMs !== undefined) timer = clock.setTimeout(() => stop('deaf', timedOut(task)), handler.timeoutMs)
    try {
      const value = handler.handle?.(event as Parameters<NonNullable<typeof handler.handle>>[0], run.context)
      if (isThenable(value)) value.then((settled) => end({ status: 'done', value: settled }), failed)
      else end({ status: 'done', value })
    } catch (thrown) {
      failed(thrown)
    }
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
