import type { SourceState } from '../../machines/protocol.ts'

/** Since when each source is in its state, and how long it has been in each so far (ms). */
export interface StateTimes {
  moved(source: string, state: SourceState): void
  since(source: string): Date | undefined
  /** Since when it has had no connection, however often it has tried since. */
  downSince(source: string): Date | undefined
  totals(source: string): Readonly<Record<string, number>>
}

interface Times {
  state: SourceState
  at: number
  date: Date
  downSince: Date | undefined
  readonly totals: Record<string, number>
}

export const createStateTimes = (now: () => number = () => performance.now()): StateTimes => {
  const sources = new Map<string, Times>()

  const close = (times: Times): void => {
    const moment = now()
    times.totals[times.state] = (times.totals[times.state] ?? 0) + (moment - times.at)
    times.at = moment
  }

  return {
    moved: (source, state) => {
      const times = sources.get(source)
      const date = new Date()
      const downSince = isDown(state) ? (times?.downSince ?? date) : undefined
      if (times === undefined) sources.set(source, { state, at: now(), date, downSince, totals: {} })
      else {
        close(times)
        Object.assign(times, { state, date, downSince })
      }
    },
    downSince: (source) => sources.get(source)?.downSince,
    since: (source) => sources.get(source)?.date,
    totals: (source) => {
      const times = sources.get(source)
      if (times === undefined) return {}
      close(times)
      return { ...times.totals }
    },
  }
}

const isDown = (state: SourceState): boolean => state === 'connecting' || state === 'backingOff'
