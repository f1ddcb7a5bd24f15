import { type Linked, LinkedList } from '../../machines/linkedList.ts'

/** Timers of handlers; those of the process, or simulated ones. */
export interface Clock {
  /** In ms since a moment of its own. */
  now(): number
  setTimeout(fire: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
}

/** Something to be done at a time of the clock. */
export interface Deadline extends Linked<Deadline> {
  at: number
  reached(): void
}

/**
 * Many deadlines, one timer. It is set for the next of them and stays when that one is taken away, so that a deadline
 * which is never reached, as nearly all are, costs no timer of its own.
 */
export interface Deadlines {
  now(): number
  add(deadline: Deadline): void
  remove(deadline: Deadline): void
  /** Forgets all of them. */
  clear(): void
}

export const createDeadlines = (clock: Clock): Deadlines => {
  const pending = new LinkedList<Deadline>()
  let timer: unknown
  let next = Number.POSITIVE_INFINITY

  const set = (at: number): void => {
    clock.clearTimeout(timer)
    next = at
    timer = clock.setTimeout(look, Math.min(longestTimer, Math.ceil(at - clock.now())))
  }

  const look = (): void => {
    const now = clock.now()
    next = Number.POSITIVE_INFINITY
    for (const deadline of pending.all()) if (deadline.at <= now && pending.delete(deadline)) deadline.reached()
    let soonest = Number.POSITIVE_INFINITY
    for (const { at } of pending.all()) soonest = Math.min(soonest, at)
    if (soonest < next) set(soonest)
  }

  return {
    now: clock.now,
    add: (deadline) => {
      pending.add(deadline)
      if (deadline.at < next) set(deadline.at)
    },
    remove: (deadline) => {
      pending.delete(deadline)
    },
    clear: () => {
      clock.clearTimeout(timer)
      for (const deadline of pending.all()) pending.delete(deadline)
    },
  }
}

/** A longer one would go off at once. */
const longestTimer = 2 ** 31 - 1
