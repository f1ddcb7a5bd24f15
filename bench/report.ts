import type { Result } from './run.ts'
import type { Measured } from './workload.ts'

export const textOf = ({ workload, about, sides, share, goals, loadAverage }: Result): string => {
  const lines = Object.entries(sides).map(([side, measured]) => line(side, measured))
  const judged = goals.map(({ goal, reached }) => `${goal}: ${reached ? 'reached' : 'not reached'}`)
  const compared = share === undefined ? [] : [`${share} × ${Object.keys(sides)[1]}`]
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

/** A table for a page. */
export const markdownOf = (results: readonly Result[]): string => {
  const rows = results.flatMap(({ workload, sides, share, goals }) =>
    Object.entries(sides).map(([side, measured], index) => {
      const { perSecond, cpuMicrosPerEvent, peakMegabytes, p50Ms, p99Ms } = measured
      const latency = p50Ms === undefined || p99Ms === undefined ? '' : `${p50Ms} / ${p99Ms}`
      const judged = goals.map(({ goal, reached }) => `${goal}: ${reached ? 'reached' : '**not reached**'}`)
      const compared = share === undefined ? [] : [`${share} × ${Object.keys(sides)[1]}`]
      const cells = [
        index === 0 ? `\`${workload}\`` : '',
        side,
        perSecond.toLocaleString('en'),
        cpuMicrosPerEvent.toLocaleString('en'),
        peakMegabytes,
        latency,
        index === 0 ? [...compared, ...judged].join('; ') : '',
      ]
      return `| ${cells.join(' | ')} |\n`
    }),
  )
  return `| workload | side | events/s | µs CPU an event | MB | p50 / p99 ms | goals |\n|---|---|--:|--:|--:|--:|---|\n${rows.join('')}`
}
