import { ControllerError } from '../../machines/errors.ts'
import type { Ledger, Verdict } from '../../machines/journal.ts'
import { type Linked, LinkedList } from '../../machines/linkedList.ts'
import { grouped } from '../journal/group.ts'
import type { Clock } from './deadlines.ts'
import type { Task } from './task.ts'

/**
 * Finds the event that kills the process, and spares those that merely ran when something else killed it.
 *
 * A first delivery is not recorded: the happy path touches no database. Redelivered events are, each when it really runs:
 *
 * ```
 *   death 1, unrecorded ──▸ clear ── death 2, with others ──▸ suspect ── death 3, alone ──▸ guilty: parked, not run
 *                             ▴                                  │
 *                             └── the process died while the suspect was held back ──┘ (twice at most)
 * ```
 *
 * - `clear`: runs like any other, on record while its handler runs.
 * - `suspect`: it ran when a process died. It is held back until the process is calm: `calmMs` after its first suspect.
 *   Then the suspects run one at a time, each on record as the only one. Events of its lane wait behind it, others do
 *   not. If the process dies before it is calm, something else killed it, and the suspect is clear again.
 * - `guilty`: a process died again with this event alone on record.
 *
 * So an event that kills the process is parked after three deaths; where several do, they may acquit each other first, and
 * it takes up to five of each. For an innocent one to be parked, two outside kills in
 * a row must hit its very run, the second of them in a process that has lived longer than `calmMs`: while every process
 * is killed sooner than that, as in a loop of kills each second or two, none is parked at all. Where processes live
 * longer, for L on average, with R redelivered events of t each, a kill makes R·t/L suspects and the next hits one of
 * them in the share t/L of its time: R·(t/L)² parked events a kill, e.g. for R = 160 and t = 10 ms one in 6,000 kills at
 * L = 10 s and one in 200,000 at 60 s. A handler that runs for as long as processes live cannot be told from a guilty one.
 *
 * Without an id of its own an event is another one each time, and is not watched. In a drain nobody is held back.
 */
export interface DeathWatch {
  /** Admits the task now or later; or refuses it, if it is guilty. */
  enter(task: Task): void
  /** Records that the handler of `task` runs from now on, if it is watched, and that of `before` does not any more. */
  begins(task: Task, before?: Task): Promise<void>
  /** Its work is over. */
  finished(task: Task): void
  waiting(): number
  /** All that were held back; from now on nobody is. */
  drain(): readonly Task[]
}

export interface DeathWatchParts {
  readonly ledger: Pick<Ledger, 'judge' | 'calm' | 'begin' | 'beginAlone'>
  /** Nothing may overtake anything. */
  readonly strict: boolean
  readonly calmMs: number
  readonly clock: Clock
  admit(task: Task): void
  refuse(task: Task, error: ControllerError): void
}

export const calmDefaultMs = 10_000

interface Waiting extends Linked<Waiting> {
  readonly task: Task
  /** Undefined: it is being asked for. */
  verdict: Exclude<Verdict, 'guilty'> | undefined
}

export const createDeathWatch = (parts: DeathWatchParts): DeathWatch => {
  const { ledger, strict, calmMs, clock, admit, refuse } = parts
  /** The suspects that run now: one, and one of the long handlers. */
  const alone = new Map<boolean, Task>()
  /** In order of arrival. */
  const waiting = new LinkedList<Waiting>()
  let calm = calmMs === 0
  let draining = false
  let advancing = false
  let timer: unknown

  const verdicts = grouped<Task, Verdict>(async (tasks) => ledger.judge(tasks.map(eventOf)), { maxSize: 1_000 })
  const records = grouped<{ readonly task: Task; readonly before: Task | undefined }, number>(
    async (runs) =>
      ledger.begin(
        runs.map(({ task }) => eventOf(task)),
        runs.flatMap(({ before }) => (before === undefined ? [] : eventOf(before))),
      ),
    { maxSize: 1_000 },
  )

  const mayGo = ({ task, verdict }: Waiting): boolean => {
    if (verdict !== 'suspect') return verdict === 'clear'
    if (!calm || alone.has(task.long)) return false
    alone.set(task.long, task)
    return true
  }

  /** Admits, in their order, those that nothing of their lane stands before. */
  const advance = (): void => {
    const lanes = new Set<string>()
    const goes: Task[] = []
    let left = 0
    for (const entry of waiting.all()) {
      const { lane } = entry.task
      const behind = strict ? left > 0 : lane !== undefined && lanes.has(lane)
      if (!behind && mayGo(entry)) {
        waiting.delete(entry)
        goes.push(entry.task)
      } else {
        left++
        if (lane !== undefined) lanes.add(lane)
      }
    }
    for (const task of goes) admit(task)
  }

  /** Verdicts come a thousand at once. */
  const advanceOnce = (): void => {
    if (advancing) return
    advancing = true
    queueMicrotask(() => {
      advancing = false
      advance()
    })
  }

  const judge = async (entry: Waiting): Promise<void> => {
    const { task } = entry
    const verdict = await verdicts.add(task).catch((): Verdict => 'clear')
    task.begun = verdict !== 'clear'
    if (!waiting.has(entry)) return
    if (verdict === 'guilty') {
      waiting.delete(entry)
      refuse(task, died())
    } else entry.verdict = verdict
    if (verdict === 'suspect' && !calm) timer ??= clock.setTimeout(becomeCalm, calmMs)
    advanceOnce()
  }

  const becomeCalm = async (): Promise<void> => {
    await ledger.calm().catch(() => undefined)
    calm = true
    if (!draining) advance()
  }

  return {
    enter: (task) => {
      const watched = isWatched(task) && !draining
      if (!watched && waiting.size === 0) return admit(task)
      const entry: Waiting = { task, verdict: watched ? undefined : 'clear', previous: undefined, next: undefined }
      waiting.add(entry)
      if (watched) void judge(entry)
      else advance()
    },
    begins: async (task, before) => {
      if (!isWatched(task) && before === undefined) return
      if (!isWatched(task) || alone.get(task.long) === task) {
        if (before !== undefined) await ledger.begin([], [eventOf(before)])
        if (isWatched(task)) await ledger.beginAlone(eventOf(task))
      } else await records.add({ task, before })
      if (isWatched(task)) task.begun = true
    },
    finished: (task) => {
      if (alone.get(task.long) !== task) return
      alone.delete(task.long)
      advance()
    },
    waiting: () => waiting.size,
    drain: () => {
      clock.clearTimeout(timer)
      draining = true
      const held = waiting.all()
      for (const entry of held) waiting.delete(entry)
      return held.map(({ task }) => task)
    },
  }
}

const eventOf = ({ delivery }: Task) => delivery.event

const isWatched = ({ delivery, event }: Task): boolean => delivery.redelivered && event.identified

const died = (): ControllerError =>
  new ControllerError(
    'PROCESS_DIED',
    'The process died repeatedly while it handled this event, at last with no other suspect beside it.',
  )
