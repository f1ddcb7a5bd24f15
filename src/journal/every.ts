/** A task that runs again `ms` after it ended, never twice at once. It tells nobody when it fails: it runs again. */
export interface Every {
  /** Runs it now, or once more when it is running. */
  now(): Promise<void>
  /** No further run begins; resolves when the one under way has ended. */
  stop(): Promise<void>
}

export const every = (ms: number, task: () => Promise<unknown>): Every => {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let again = false
  let stopped = false

  const run = async (): Promise<void> => {
    do {
      again = false
      await task().catch(() => undefined)
    } while (again && !stopped)
    running = undefined
    if (!stopped) timer = setTimeout(start, ms)
  }
  const start = (): void => {
    running = run()
  }
  timer = setTimeout(start, ms)

  return {
    now: async () => {
      if (stopped) return
      clearTimeout(timer)
      if (running === undefined) start()
      else again = true
      await running
    },
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
