import type { Done } from '../../machines/journal.ts'
import { attemptAll, common } from './attempts.ts'
import { createContext, type RunContext } from './context.ts'
import { runHandler } from './handler.ts'
import { type JobsParts, keepDefaultMs, type Task } from './task.ts'

/** A handler without a lock: run, then whatever has to be durable in one settlement. */
export const runPlain = async (parts: JobsParts, task: Task): Promise<void> => {
  const { handler, event } = task
  if (handler.dedupMs !== undefined && event.identified) {
    const [seen] = await parts.ledger.seen([event])
    if (seen === true) {
      await parts.end(task, { as: 'done', ...common(task) }, 'duplicate', { status: 'duplicate' })
      return
    }
  }
  if (task.delivery.redelivered) await parts.begins(task)
  let run: RunContext | undefined
  const ended = await attemptAll(parts, task, (attempt) => {
    run = createContext(parts, task, attempt, undefined)
    return runHandler(task, run, parts.deadlines)
  })
  if (ended === undefined) return
  const settled = parts.end(task, doneEnding(task, run), 'done', { status: 'done', value: ended.done })
  // The slot is free for the next handler while this settlement joins a group; a suspect's end must be on record first.
  if (task.begun) await settled
}

/** The settlement of a handled event, with what its run has asked for. */
export const doneEnding = (task: Task, run: RunContext | undefined): Done => {
  const asked = run?.asked
  const { handler, event } = task
  const remembered = event.kind === 'webhook.event' || asked !== undefined
  const keepMs = handler.dedupMs ?? (remembered ? keepDefaultMs : undefined)
  return {
    as: 'done',
    ...common(task),
    ...(keepMs === undefined || !event.identified ? {} : { keepMs }),
    ...asked,
  }
}
