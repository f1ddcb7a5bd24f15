import { styleText } from 'node:util'
import type { DrainReport, SourceStatus, Status } from '../status.ts'
import { table } from './output.ts'
import type { Line } from './screen.ts'

/** What `top` shows of one status, as lines: the sources first, then what they may wait for. */
export type Rates = Readonly<Record<string, SourceRates>>

/** A second, over the last interval. */
export interface SourceRates {
  readonly accepted: number
  readonly settled: number
  /** Tried again later, or parked. */
  readonly failed: number
}

export const ratesOf = (before: Status, now: Status, seconds: number): Rates =>
  Object.fromEntries(
    Object.entries(now.sources).map(([name, source]) => {
      const was = before.sources[name]
      const rate = (count: (of: SourceStatus) => number): number =>
        was === undefined || seconds <= 0 ? 0 : Math.max(0, (count(source) - count(was)) / seconds)
      return [
        name,
        {
          accepted: rate((of) => of.accepted),
          settled: rate((of) => of.settled),
          failed: rate(({ results }) => results.retried + results.parked),
        },
      ]
    }),
  )

export const pictureOf = (status: Status, rates: Rates, now: number): readonly Line[] => [
  { text: headOf(status, now), style: bold },
  { text: totalsOf(status, rates) },
  ...(status.drain === undefined ? [] : drainLines(status.drain)),
  { text: '' },
  ...sourceLines(status.sources, rates, now),
  ...section(
    ['LOCK', 'HELD BY', 'EVENT', 'HELD', 'WAITING', 'LONGEST WAIT'],
    Object.entries(status.locks).map(([name, { holder, waiting, longestWaitMs }]) => [
      name,
      holder?.replica ?? 'nobody',
      holder === undefined ? '' : `${holder.type} ${holder.id}`,
      holder === undefined ? '' : duration(holder.heldMs),
      waiting,
      waiting === 0 ? '' : duration(longestWaitMs),
    ]),
  ),
  ...section(
    ['LONG JOB', 'TYPE', 'RUNNING', 'PROGRESS'],
    status.jobs.long.map(({ id, type, runningMs, progress }) => [id, type, duration(runningMs), shown(progress)]),
  ),
  ...section(
    ['OLDEST JOB', 'TYPE', 'SOURCE', 'STATE', 'AGE', 'WAITS FOR'],
    status.jobs.list
      .filter(({ long }) => long !== true)
      .slice(0, mostJobs)
      .map(({ id, type, source, state, ageMs, lane, lock }) => [
        id,
        type,
        source,
        state,
        duration(ageMs),
        state === 'running' ? '' : (lock ?? lane ?? 'a slot'),
      ]),
  ),
]

const mostJobs = 8
const bold = (text: string): string => inColour('bold', text)
const alarming: ReadonlySet<string> = new Set(['backingOff', 'stalled'])
const notable: ReadonlySet<string> = new Set([
  'paused',
  'throttled',
  'draining',
  'disconnecting',
  'closed',
  'connecting',
])

const headOf = ({ name, version, pid, state, startedAt, journal }: Status, now: number): string => {
  const up = duration(now - Date.parse(startedAt))
  const trouble = journal.error === undefined ? '' : `: ${journal.error}`
  return `${name} ${version}  pid ${pid}  ${state}  up ${up}  journal ${journal.state}${trouble}`
}

const totalsOf = ({ sources, jobs }: Status, rates: Rates): string => {
  const all = Object.values(sources)
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)
  const rate = (count: (of: SourceRates) => number): string => perSecond(sum(Object.values(rates).map(count)))
  const parked = sum(all.map((of) => of.parked))
  return [
    `in ${rate((of) => of.accepted)}/s`,
    `settled ${rate((of) => of.settled)}/s`,
    `failed ${rate((of) => of.failed)}/s`,
    `in flight ${sum(all.map((of) => of.inFlight))}`,
    `running ${jobs.running}`,
    `waiting ${jobs.waiting}`,
    `parked ${parked}`,
  ].join('   ')
}

const drainLines = ({ reason, phase, timeLeftMs, sources }: DrainReport): readonly Line[] => {
  const left = Object.entries(sources).filter(([, { inFlight }]) => inFlight > 0)
  const what = left.map(([name, { inFlight, state }]) => `${name} ${inFlight} (${state})`).join(', ')
  const text = `DRAINING (${reason}): ${phase}, ${duration(timeLeftMs)} left; in flight: ${what === '' ? 'nothing' : what}`
  return [{ text, style: (line) => inColour('yellow', line) }]
}

const sourceLines = (sources: Status['sources'], rates: Rates, now: number): readonly Line[] => {
  const all = Object.entries(sources)
  const head = ['SOURCE', 'KIND', 'STATE', 'SINCE', 'IN/S', 'OUT/S', 'FAIL/S', 'IN FLIGHT', 'PARKED', 'RECONNECTS']
  const rows = all.map(([name, of]) => [
    name,
    of.driver,
    of.state,
    duration(now - Date.parse(of.stateSince)),
    perSecond(rates[name]?.accepted ?? 0),
    perSecond(rates[name]?.settled ?? 0),
    perSecond(rates[name]?.failed ?? 0),
    `${of.inFlight}/${of.credit}`,
    of.parked,
    of.reconnects,
  ])
  const [first = '', ...others] = table(head, rows).split('\n')
  return [
    { text: first, style: bold },
    ...others.flatMap((text, index): Line[] => {
      const [, of] = all[index] ?? []
      const line = of === undefined ? { text } : { text, ...styleOf(of.state) }
      if (of?.lastError === undefined) return [line]
      const { code, message } = of.lastError
      return [line, { text: `  ${code}: ${message}`, ...styleOf(of.state) }]
    }),
  ]
}

const styleOf = (state: string): Pick<Line, 'style'> => {
  if (alarming.has(state)) return { style: (text) => inColour('red', text) }
  return notable.has(state) ? { style: (text) => inColour('yellow', text) } : {}
}

/** A table under a head, with an empty line before it; nothing where it has no rows. */
const section = (head: readonly string[], rows: readonly (readonly unknown[])[]): readonly Line[] => {
  if (rows.length === 0) return []
  const [first = '', ...others] = table(head, rows).split('\n')
  return [{ text: '' }, { text: first, style: bold }, ...others.map((text) => ({ text }))]
}

const perSecond = (rate: number): string => (rate >= 100 ? Math.round(rate).toLocaleString('en') : rate.toFixed(1))

const shown = (progress: unknown): string => (progress === undefined ? '' : JSON.stringify(progress).slice(0, 60))

/** The two greatest units, as `3h 12m`. */
export const duration = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  const units: readonly (readonly [number, string])[] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'm'],
    [1, 's'],
  ]
  const greatest = units.findIndex(([size]) => seconds >= size)
  if (greatest === -1) return '0s'
  const parts = units.slice(greatest, greatest + 2).map(([size, unit], index) => {
    const count = Math.floor((index === 0 ? seconds : seconds % (units[greatest]?.[0] ?? 1)) / size)
    return count === 0 ? '' : `${count}${unit}`
  })
  return parts.filter((part) => part !== '').join(' ')
}

const inColour = (colour: 'bold' | 'red' | 'yellow', text: string): string =>
  styleText(colour, text, { stream: process.stdout })
