import type { Result } from './protocol.ts'

/** What a source counts of its events: one change for what came, one for what was settled. */
export interface SourceCounts {
  /** Always `settled + inFlight`. */
  readonly accepted: number
  readonly settled: number
  readonly inFlight: number
  readonly results: Readonly<Record<Result, number>>
}

export const nothingCounted: SourceCounts = {
  accepted: 0,
  settled: 0,
  inFlight: 0,
  results: { done: 0, ignored: 0, duplicate: 0, retried: 0, parked: 0, moved: 0, released: 0 },
}

export const withBrought = (counts: SourceCounts, events: number): SourceCounts => ({
  ...counts,
  accepted: counts.accepted + events,
  inFlight: counts.inFlight + events,
})

export const withSettled = (
  counts: SourceCounts,
  events: number,
  more: Readonly<Partial<Record<Result, number>>>,
): SourceCounts => {
  const results = { ...counts.results }
  for (const result in more) results[result as Result] += more[result as Result] ?? 0
  return { accepted: counts.accepted, settled: counts.settled + events, inFlight: counts.inFlight - events, results }
}
