import type { Run } from './workload.ts'

/** What one run cost this process; servers are not counted. */
export interface Measured {
  readonly perSecond: number
  readonly cpuMicrosPerEvent: number
  /** Largest resident set seen, of the whole process. */
  readonly peakMegabytes: number
}

const sampleMs = 20

export const measure = async (events: number, run: Run): Promise<Measured> => {
  let peak = process.memoryUsage.rss()
  const sample = (): void => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  const sampler = setInterval(sample, sampleMs)
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  await run.go()
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(cpuBefore)
  clearInterval(sampler)
  sample()
  return { perSecond: events / seconds, cpuMicrosPerEvent: (user + system) / events, peakMegabytes: peak / 2 ** 20 }
}

/** Each number's own median. */
export const medianOf = (runs: readonly Measured[]): Measured => {
  const median = (of: (run: Measured) => number): number => {
    const sorted = runs.map(of).sort((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)] ?? 0
  }
  return {
    perSecond: Math.round(median(({ perSecond }) => perSecond)),
    cpuMicrosPerEvent: Math.round(median(({ cpuMicrosPerEvent }) => cpuMicrosPerEvent) * 10) / 10,
    peakMegabytes: Math.round(median(({ peakMegabytes }) => peakMegabytes)),
  }
}
