import { setTimeout as sleep } from 'node:timers/promises'

/** How long closing waits for what is under way. */
export const finishMs = 2_000

/** What is under way, so that closing can wait for it. Counted and not kept: a call that is over must not keep its result. */
export interface Work {
  add<Result>(call: Promise<Result>): Promise<Result>
  idle(): Promise<void>
}

export const createWork = (): Work => {
  const waiting: (() => void)[] = []
  let underWay = 0
  const over = (): void => {
    underWay -= 1
    if (underWay === 0) for (const resolve of waiting.splice(0)) resolve()
  }
  return {
    add: (call) => {
      underWay += 1
      call.then(over, over)
      return call
    },
    idle: async () => {
      while (underWay > 0) await new Promise<void>((resolve) => waiting.push(resolve))
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
