import { setTimeout as sleep } from 'node:timers/promises'

/** How long closing waits for what is under way. */
export const finishMs = 2_000

/** What is under way, so that closing can wait for it. */
export interface Work {
  add<Result>(call: Promise<Result>): Promise<Result>
  idle(): Promise<void>
}

export const createWork = (): Work => {
  const calls = new Set<Promise<unknown>>()
  return {
    add: (call) => {
      calls.add(call)
      const over = (): boolean => calls.delete(call)
      call.then(over, over)
      return call
    },
    idle: async () => {
      while (calls.size > 0) await Promise.allSettled(calls)
    },
  }
}

/** Whether it was fulfilled in time. */
export const atMost = async (ms: number, call: Promise<unknown>): Promise<boolean> => {
  const timer = new AbortController()
  const late = sleep(ms, false, { signal: timer.signal }).catch(() => false)
  const done = await Promise.race([
    call.then(
      () => true,
      () => false,
    ),
    late,
  ])
  timer.abort()
  return done
}
