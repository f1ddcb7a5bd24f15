import type { Stats } from '../../protocol.ts'

/** Rates are differences of counters that only rise; a restart of the server begins a new series. */
export interface Rates {
  /** Epoch s. */
  readonly t: number
  readonly settled: number | null
  readonly failed: number | null
  readonly p50: number | null
  readonly p95: number | null
  readonly inFlight: number | null
}

/** When nothing was taken for longer than this, nobody looked, and nothing is said of that time. */
const longestStepMs = 5_000

const failures = ['retried', 'parked'] as const

export const ratesBetween = (before: Stats, after: Stats): Rates => {
  if (after.t - before.t > longestStepMs) {
    return { t: after.t / 1_000, settled: null, failed: null, p50: null, p95: null, inFlight: null }
  }
  const seconds = Math.max(0.001, (after.t - before.t) / 1_000)
  const [old, current] = [totals(before), totals(after)]
  const per = (difference: number): number => Math.max(0, difference) / seconds
  const failed = per(current.failed - old.failed)
  return {
    t: after.t / 1_000,
    settled: per(current.settled - old.settled) - failed,
    failed,
    p50: after.status?.latency?.p50 ?? null,
    p95: after.status?.latency?.p95 ?? null,
    inFlight: current.inFlight,
  }
}

const totals = ({ status, seen }: Stats): { settled: number; failed: number; inFlight: number } => {
  if (status === undefined) return { settled: seen.events, failed: seen.failures, inFlight: 0 }
  let [settled, failed, inFlight] = [0, 0, 0]
  for (const source of Object.values(status.sources)) {
    settled += source.settled
    inFlight += source.inFlight
    for (const result of failures) failed += source.results?.[result] ?? 0
  }
  return { settled, failed, inFlight }
}

/** Events a second that a source took in, over the last few seconds. */
export const sourceRate = (history: readonly Stats[], name: string, over = 5): number => {
  const last = history.at(-1)
  const first = history.at(-1 - over) ?? history[0]
  if (last === undefined || first === undefined || last === first) return 0
  const difference = (last.status?.sources[name]?.accepted ?? 0) - (first.status?.sources[name]?.accepted ?? 0)
  return (Math.max(0, difference) * 1_000) / Math.max(1, last.t - first.t)
}
