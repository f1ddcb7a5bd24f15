import { ControllerError } from '../../machines/errors.ts'
import { park } from './attempts.ts'
import type { JobsParts, Task } from './task.ts'

/** An event whose handler was running at the end of this many processes is parked (one more may have gone unrecorded). */
const maxDeaths = 2

/**
 * Redelivered events are recorded before they run, so that one which kills the process is known by it. Those that may
 * have done so run one at a time: what stands recorded at the next death is the culprit.
 */
export const createDeathWatch = (parts: JobsParts) => {
  let alone: Promise<unknown> = Promise.resolve()

  /** Runs the tasks that may run: together, or each by itself where it is suspected. */
  return async (tasks: readonly Task[], run: (tasks: readonly Task[]) => Promise<void>): Promise<void> => {
    const watched = tasks.filter(({ delivery, event }) => delivery.redelivered && event.identified)
    if (watched.length === 0) return run(tasks)
    const deaths = await parts.ledger.begin(watched.map(({ delivery }) => delivery.event))
    const suspects = new Map<Task, number>()
    for (const [index, task] of watched.entries()) {
      const count = deaths[index] ?? 0
      if (count > 0) suspects.set(task, count)
      else task.begun = true
    }
    const others = tasks.filter((task) => !suspects.has(task))
    if (others.length > 0) await run(others)
    for (const [task, count] of suspects) {
      if (count >= maxDeaths) {
        task.begun = true
        await park(parts, task, died(count + 1))
        continue
      }
      const turn = alone.then(async () => {
        await parts.ledger.beginAlone(task.delivery.event)
        task.begun = true
        await run([task])
      })
      alone = turn.catch(() => undefined)
      await turn
    }
  }
}

const died = (times: number): ControllerError =>
  new ControllerError('PROCESS_DIED', `The process died ${times} times while it handled this event.`)
