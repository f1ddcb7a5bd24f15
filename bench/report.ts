import type { Result } from './run.ts'
import type { Measured } from './support/measure.ts'

export const textOf = ({ workload, about, sides, ofBare, goals, loadAverage }: Result): string => {
  const lines = Object.entries(sides).map(([side, measured]) => line(side, measured))
  const judged = goals.map(({ goal, reached }) => `${goal}: ${reached ? 'reached' : 'not reached'}`)
  const compared = ofBare === undefined ? [] : [`${ofBare} × bare`]
  const verdict = [...compared, ...judged, `load average ${loadAverage.join(' ')}`].join('; ')
  return `\n${workload}: ${about}\n${lines.join('')}  ${verdict}\n`
}

const line = (side: string, { perSecond, cpuMicrosPerEvent, peakMegabytes, p50Ms, p99Ms }: Measured): string => {
  const figures = [
    `${perSecond.toLocaleString('en').padStart(9)} events/s`,
    `${cpuMicrosPerEvent.toFixed(1).padStart(7)} µs CPU/event`,
    `${String(peakMegabytes).padStart(5)} MB peak`,
    ...(p50Ms === undefined || p99Ms === undefined ? [] : [`p50 ${p50Ms.toFixed(1)} ms`, `p99 ${p99Ms.toFixed(1)} ms`]),
  ]
  return `  ${side.padEnd(24)} ${figures.join('  ')}\n`
}
