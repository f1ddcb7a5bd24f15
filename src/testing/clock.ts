import type { Clock } from '../jobs/deadlines.ts'

/** A clock that stands still until it is told to go on. Timers go off in the order of their times, and of their setting. */
export interface ManualClock extends Clock {
  /** When the next timer goes off. */
  next(): number | undefined
  /** Moves to the next timer, not beyond `limit`, and lets it go off; false when there is none. */
  step(limit: number): boolean
  moveTo(now: number): void
}

export const createManualClock = (): ManualClock => {
  const timers = new Map<number, { readonly at: number; readonly fire: () => void }>()
  let moment = 0
  let ids = 0

  const first = (): [id: number, timer: { readonly at: number; readonly fire: () => void }] | undefined => {
    let best: ReturnType<typeof first>
    for (const entry of timers) if (best === undefined || entry[1].at < best[1].at) best = entry
    return best
  }

  return {
    now: () => moment,
    next: () => first()?.[1].at,
    setTimeout: (fire, ms) => {
      timers.set(++ids, { at: moment + Math.max(0, ms), fire })
      return ids
    },
    clearTimeout: (id) => void timers.delete(id as number),
    step: (limit) => {
      const [id, timer] = first() ?? []
      if (id === undefined || timer === undefined || timer.at > limit) return false
      timers.delete(id)
      moment = Math.max(moment, timer.at)
      timer.fire()
      return true
    },
    moveTo: (now) => {
      moment = Math.max(moment, now)
    },
  }
}
