/** How long the latest events took, from arrival to settlement. Taking it begins anew. */
export interface Latency {
  note(seconds: number): void
  /** In ms; `undefined` when there was none. Of more than 4,096 events the newest count. */
  take(): { readonly p50: number; readonly p95: number; readonly p99: number; readonly count: number } | undefined
}

const kept = 4_096

export const createLatency = (): Latency => {
  const values = new Float64Array(kept)
  let count = 0
  return {
    note: (seconds) => {
      values[count++ % kept] = seconds
    },
    take: () => {
      if (count === 0) return undefined
      const sorted = values.slice(0, Math.min(count, kept)).sort()
      const at = (share: number): number => {
        const seconds = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
        return Math.round(seconds * 1e5) / 100
      }
      const taken = { p50: at(0.5), p95: at(0.95), p99: at(0.99), count }
      count = 0
      return taken
    },
  }
}
