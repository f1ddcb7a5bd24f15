import type { Done } from '../../machines/journal.ts'
import { Attempts, common } from './attempts.ts'
import { createContext, type RunContext } from './context.ts'
import { type Runner, runHandler } from './handler.ts'
import { type JobsParts, keepDefaultMs, type Run, type Task } from './task.ts'

/** A handler without a lock: run, then whatever has to be durable in one settlement. `over` is called once. */
export const runPlain = (parts: JobsParts, task: Task, over: Over): void => {
  const attempts = new PlainAttempts(parts, task, over)
  if (task.handler.dedupMs === undefined && !task.delivery.redelivered) attempts.run()
  else isKnown(parts, task).then((known) => (known ? over() : attempts.run()), over)
}

/** `thrown`: the journal could not be used; the event has no ending yet. */
export type Over = (thrown?: unknown) => void

/** What the journal may know already, or has to know before it runs. */
const isKnown = async (parts: JobsParts, task: Task): Promise<boolean> => {
  const { handler, event, delivery } = task
  if (handler.dedupMs !== undefined && event.identified) {
    const [seen] = await parts.ledger.seen([event])
    if (seen === true) {
      await parts.end(task, { as: 'done', ...common(task) }, 'duplicate', { status: 'duplicate' })
      return true
    }
  }
  if (delivery.redelivered) await parts.begins(task)
  return false
}

/** One for each event, hence an object that is told and not a chain of promises. */
class PlainAttempts extends Attempts implements Runner {
  readonly #over: Over
  #run: RunContext | undefined

  constructor(parts: JobsParts, task: Task, over: Over) {
    super(parts, task)
    this.#over = over
  }

  run(): void {
    this.#run = createContext(this.parts, this.task, this.next, undefined)
    runHandler(this.task, this.#run, this.parts.deadlines, this)
  }

  ended(run: Run): void {
    const then = run.status === 'done' ? this.#done(run.value) : this.after(run)
    if (then === 'again') this.run()
    else if (then === undefined) this.#over()
    else then.then(() => this.#over(), this.#over)
  }

  #done(value: unknown): Promise<void> | undefined {
    const { parts, task } = this
    const settled = parts.end(task, doneEnding(task, this.#run), 'done', { status: 'done', value })
    // The slot is free while this settlement joins a group; but a suspect's end must be on record first.
    return task.begun ? settled : undefined
  }
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
