/**
 * Tells those who claim from a queue that it is worth a look. Polling is the truth; this only makes it prompt: rows
 * made ready by this process or announced by NOTIFY wake at once, rows with a delay when they fall due.
 */
export interface Wakes {
  on(queue: string, wake: () => void): () => void
  /** Rows of the queue fall due in `ms`; 0: now. */
  in(queue: string, ms: number): void
  /** Announcements may have been missed. */
  all(): void
  close(): void
}

/** What falls due later than this is left to polling. */
export const wakeHorizonMs = 60_000

export const createWakes = (): Wakes => {
  const listeners = new Map<string, Set<() => void>>()
  const timers = new Map<string, { readonly at: number; readonly timer: NodeJS.Timeout }>()

  const call = (queue: string): void => {
    for (const wake of listeners.get(queue) ?? []) wake()
  }
  const forget = (queue: string): void => {
    clearTimeout(timers.get(queue)?.timer)
    timers.delete(queue)
  }

  return {
    on: (queue, wake) => {
      const set = listeners.get(queue) ?? new Set()
      listeners.set(queue, set.add(wake))
      return () => {
        set.delete(wake)
        if (set.size > 0 || listeners.get(queue) !== set) return
        listeners.delete(queue)
        forget(queue)
      }
    },
    in: (queue, ms) => {
      if (!listeners.has(queue) || ms > wakeHorizonMs) return
      if (ms <= 0) return call(queue)
      const at = performance.now() + ms
      const earlier = timers.get(queue)
      if (earlier !== undefined && earlier.at <= at) return
      forget(queue)
      const fire = (): void => {
        timers.delete(queue)
        call(queue)
      }
      timers.set(queue, { at, timer: setTimeout(fire, ms) })
    },
    all: () => {
      for (const queue of listeners.keys()) call(queue)
    },
    close: () => {
      for (const queue of timers.keys()) forget(queue)
      listeners.clear()
    },
  }
}
