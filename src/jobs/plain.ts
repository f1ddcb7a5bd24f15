import type { Done } from '../../machines/journal.ts'
import { attemptAll, common } from './attempts.ts'
import { createContext, type RunContext } from './context.ts'
import { runHandler } from './handler.ts'
import { type JobsParts, keepDefaultMs, type Task } from './task.ts'

/** A handler without a lock: run, then whatever has to be durable in one settlement. */
export const runPlain = (parts: JobsParts, task: Task): Promise<void> =>
  task.handler.dedupMs === undefined && !task.delivery.redelivered ? attempt(parts, task) : runKnown(parts, task)

/** What the journal may know already, or has to know before it runs. */
const runKnown = async (parts: JobsParts, task: Task): Promise<void> => {
  const { handler, event, delivery } = task
  if (handler.dedupMs !== undefined && event.identified) {
    const [seen] = await parts.ledger.seen([event])
    if (seen === true) return parts.end(task, { as: 'done', ...common(task) }, 'duplicate', { status: 'duplicate' })
  }
  if (delivery.redelivered) await parts.begins(task)
  return attempt(parts, task)
}

const attempt = (parts: JobsParts, task: Task): Promise<void> => {
  let run: RunContext | undefined
  return attemptAll(
    parts,
    task,
    (no) => {
      run = createContext(parts, task, no, undefined)
      return runHandler(task, run, parts.deadlines)
    },
    (value) => {
      const settled = parts.end(task, doneEnding(task, run), 'done', { status: 'done', value })
      // The slot is free while this settlement joins a group; but a suspect's end must be on record first.
      return task.begun ? settled : undefined
    },
  )
}

/** The settlement of a handled event, with what its run has asked for. */
export const doneEnding = (task: Task, run: RunContext | undefined): Done => {
  const asked = run?.asked
  const { handler, event } = task
  const remembered = event.kind === 'webhook.event' || asked !== undefined
  const keepMs = handler.dedupMs ?? (remembered ? keepDefaultMs : undefined)
  const marked = keepMs !== undefined && event.identified
  if (!marked && asked === undefined) return { as: 'done', ...common(task) }
  return { as: 'done', ...common(task), ...(marked ? { keepMs } : {}), ...asked }
}
