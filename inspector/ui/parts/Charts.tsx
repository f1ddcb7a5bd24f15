import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { age, count, rate } from '../format.ts'
import { type Rates, ratesBetween } from '../state/rates.ts'
import { history, now, statsTurn } from '../state/store.ts'
import { dark } from '../state/theme.ts'

/** What the service does over the last minutes. Three lines of numbers a second, drawn on canvas. */
interface Line {
  readonly name: string
  readonly colour: string
  readonly fill?: boolean
  value(rates: Rates): number | null
}

interface Plot {
  readonly title: string
  readonly lines: readonly Line[]
  /** The axis reaches this far at least. */
  readonly least: number
  text(value: number): string
}

const plots: readonly Plot[] = [
  {
    title: 'Events/s',
    least: 1,
    text: rate,
    lines: [
      { name: 'done', colour: '--good', fill: true, value: ({ settled }) => settled },
      { name: 'failed', colour: '--bad', value: ({ failed }) => failed },
    ],
  },
  {
    title: 'Latency',
    least: 10,
    text: (value) => age(value),
    lines: [
      { name: 'p50', colour: '--accent', value: ({ p50 }) => p50 },
      { name: 'p95', colour: '--purple', value: ({ p95 }) => p95 },
    ],
  },
  {
    title: 'In flight',
    least: 1,
    text: count,
    lines: [{ name: 'in flight', colour: '--warn', fill: true, value: ({ inFlight }) => inFlight }],
  },
]

const minutes = 5

export const Charts = (): JSX.Element => {
  statsTurn.value
  const recent = history.slice(-(minutes * 60 + 1))
  const rates = recent.slice(1).map((stats, i) => ratesBetween(recent[i] ?? stats, stats))
  return (
    <section class="charts" aria-label="Charts">
      {plots.map((plot) => (
        <Chart key={`${plot.title} ${dark.value}`} plot={plot} rates={rates} />
      ))}
    </section>
  )
}

const Chart = ({ plot, rates }: { plot: Plot; rates: readonly Rates[] }): JSX.Element => {
  const box = useRef<HTMLDivElement>(null)
  const drawn = useRef<uPlot | undefined>(undefined)
  const last = rates.at(-1)

  useEffect(() => {
    const element = box.current
    if (element === null) return
    const chart = new uPlot(optionsOf(plot, element.clientWidth), dataOf(plot, []), element)
    drawn.current = chart
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: chartHeight }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      chart.destroy()
    }
  }, [plot])

  useEffect(() => drawn.current?.setData(dataOf(plot, rates)), [rates])

  return (
    <figure>
      <figcaption>
        {plot.title}
        <span class="grow" />
        {plot.lines.map(({ name, colour, value }) => {
          const current = last === undefined ? null : value(last)
          return (
            <span key={name} class={`key ${colour.slice(2)}`}>
              {plot.lines.length > 1 && <span>{name}</span>}
              <b class="numbers">{current === null ? '–' : plot.text(current)}</b>
            </span>
          )
        })}
      </figcaption>
      <div class="plot" ref={box} role="img" aria-label={`${plot.title}, the last ${minutes} minutes`} />
    </figure>
  )
}

const chartHeight = 84

const dataOf = ({ lines }: Plot, rates: readonly Rates[]): uPlot.AlignedData => [
  rates.map(({ t }) => t),
  ...lines.map(({ value }) => rates.map(value)),
]

const colourOf = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** What there is of the last minutes, but not less than one; by the data, since uPlot widens the range of a single point. */
const lastMinutes = ({ data: [times] }: uPlot): [number, number] => {
  const end = times?.at(-1) ?? now.peek() / 1_000
  return [Math.max(end - minutes * 60, Math.min(times?.[0] ?? end, end - 60)), end]
}

const optionsOf = ({ lines, text, least }: Plot, width: number): uPlot.Options => {
  const [grid, faint] = [colourOf('--line'), colourOf('--faint')]
  const font = '10px Inter, system-ui, sans-serif'
  const axis = { stroke: faint, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } }
  return {
    width: Math.max(120, width),
    height: chartHeight,
    legend: { show: false },
    cursor: { y: false, points: { size: 5 }, drag: { x: false, y: false } },
    padding: [6, 4, 0, 0],
    scales: {
      x: { time: false, range: lastMinutes },
      y: { range: (_, __, max) => [0, Math.max(least, (max ?? 0) * 1.1)] },
    },
    axes: [
      {
        ...axis,
        size: 18,
        gap: 2,
        space: 70,
        incrs: [60, 120, 300],
        values: (_, splits) => splits.map(hourAndMinute),
        grid: { show: false },
      },
      { ...axis, size: 40, gap: 4, space: 26, values: (_, splits) => splits.map((value) => text(value)) },
    ],
    series: [
      {},
      ...lines.map(({ name, colour, fill }) => ({
        label: name,
        stroke: colourOf(colour),
        width: 1.5,
        points: { show: false },
        ...(fill === true ? { fill: `${colourOf(colour)}26` } : {}),
      })),
    ],
  }
}

const hourAndMinute = (seconds: number): string => {
  const date = new Date(seconds * 1_000)
  return `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`
}
