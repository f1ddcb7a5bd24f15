import type { Latency, Measured, Run } from '../workload.ts'

const sampleMs = 20

export const measure = async (events: number, run: Run): Promise<Measured> => {
  let peak = process.memoryUsage.rss()
  const sample = (): void => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  const sampler = setInterval(sample, sampleMs)
  const stop = stopwatch()
  const told = await run.go()
  const took = stop(events)
  clearInterval(sampler)
  sample()
  return { ...took, peakMegabytes: peak / 2 ** 20, ...told }
}

/** Begins now; what it gives tells what so many events took until then. */
export const stopwatch = (): ((events: number) => Pick<Measured, 'perSecond' | 'cpuMicrosPerEvent'>) => {
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  return (events) => {
    const seconds = (performance.now() - startedAt) / 1_000
    const { user, system } = process.cpuUsage(cpuBefore)
    return { perSecond: events / seconds, cpuMicrosPerEvent: (user + system) / events }
  }
}

/** Each number's own median. */
export const medianOf = (runs: readonly Measured[]): Measured => {
  const median = (of: (run: Measured) => number | undefined, digits: number): number | undefined => {
    const sorted = runs
      .map(of)
      .filter((value) => value !== undefined)
      .sort((a, b) => a - b)
    const middle = sorted[Math.floor(sorted.length / 2)]
    return middle === undefined ? undefined : Math.round(middle * 10 ** digits) / 10 ** digits
  }
  const perSecond = median((run) => run.perSecond, 1) ?? 0
  const p50Ms = median((run) => run.p50Ms, 1)
  const p99Ms = median((run) => run.p99Ms, 1)
  return {
    perSecond: perSecond < 100 ? perSecond : Math.round(perSecond),
    cpuMicrosPerEvent: median((run) => run.cpuMicrosPerEvent, 1) ?? 0,
    peakMegabytes: median((run) => run.peakMegabytes, 0) ?? 0,
    ...(p50Ms === undefined || p99Ms === undefined ? {} : { p50Ms, p99Ms }),
  }
}

export const latencyOf = (millis: readonly number[]): Latency => {
  const sorted = millis.toSorted((a, b) => a - b)
  const percentile = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { p50Ms: percentile(0.5), p99Ms: percentile(0.99) }
}
