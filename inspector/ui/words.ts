import type { HostStatus, JobView, SourceView } from '../protocol/controller.ts'
import { age, count, moment, plural, rate, words } from './format.ts'

/**
 * What is the matter, in words, the worst first. The page begins with it: somebody who was woken up reads which source
 * is stuck, since when, on which event, and what to press. Pure: a status and a time in, sentences out.
 */
export interface Finding {
  readonly level: 'bad' | 'warn' | 'info' | 'good'
  /** What is the matter: `orders is stuck`. */
  readonly what: string
  /** Since when, on which event, how much. */
  readonly detail: string
  /** What to do about it, where there is something. */
  readonly advice?: string
  readonly presses: readonly Press[]
}

/** A button beside the finding. */
export type Press =
  | { readonly kind: 'pause' | 'resume' | 'source' | 'parked' | 'redrive'; readonly source: string }
  | { readonly kind: 'work' }
  | { readonly kind: 'event'; readonly id: string }

export type Severity = 'bad' | 'warn' | 'busy' | 'good' | 'quiet'

/** How bad the state of a source is; sorts and colours the sources. */
export const severity = ({ state, troubleSince }: Pick<SourceView, 'state' | 'troubleSince'>): Severity => {
  if (troubleSince !== undefined || state === 'stalled' || state === 'backingOff') return 'bad'
  if (state === 'paused' || state === 'connecting') return 'warn'
  if (state === 'throttled' || state === 'draining' || state === 'disconnecting') return 'busy'
  return state === 'closed' || state === 'waiting' ? 'quiet' : 'good'
}

/** A lock that keeps others waiting for longer is worth a line; a job that runs for longer, too. */
const longWaitMs = 15_000
const longRunMs = 60_000
const longThrottleMs = 10_000
const longConnectMs = 10_000

export const findingsOf = (status: HostStatus, now: number, eventsPerSecond: number): readonly Finding[] => {
  const sources = Object.entries(status.sources)
  const jobs = status.jobs.list ?? []
  const found = [
    ...draining(status),
    ...journal(status),
    ...sources.flatMap(([name, source]) => sourceFindings(name, source, jobs, status, now)),
    ...locks(status, sources, jobs),
    ...parked(sources),
    ...(status.drain === undefined ? slowJobs(status, jobs) : []),
  ]
  const order = { bad: 0, warn: 1, info: 2, good: 3 }
  const sorted = found.toSorted((one, other) => order[one.level] - order[other.level])
  return sorted.some(({ level }) => level !== 'info')
    ? sorted
    : [allIsWell(status, sources, eventsPerSecond), ...sorted]
}

const sourceFindings = (
  name: string,
  source: SourceView,
  jobs: readonly JobView[],
  status: HostStatus,
  now: number,
): readonly Finding[] => {
  const since = Date.parse(source.troubleSince ?? source.stateSince)
  const lasts = age(now - since)
  const from = `since ${moment(since, now)} (${lasts})`
  if (source.state === 'stalled') return [stalled(name, source, from, jobs, status)]
  if (source.state === 'backingOff' || (source.state === 'connecting' && source.lastError !== undefined)) {
    const { code, message } = source.lastError ?? { code: 'unknown', message: 'no reason known' }
    return [
      {
        level: 'bad',
        what: `${name} cannot connect`,
        detail: `${from}. ${code}: ${message.replace(/\.$/, '')}.`,
        advice: `It tries again by itself, every second or two. See whether ${serviceOf(source)} is up and reachable from here.`,
        presses: [{ kind: 'source', source: name }],
      },
    ]
  }
  if (source.state === 'connecting' && now - since > longConnectMs) {
    return [
      {
        level: 'warn',
        what: `${name} is still connecting`,
        detail: from,
        advice: `See whether ${serviceOf(source)} is up and reachable from here.`,
        presses: [{ kind: 'source', source: name }],
      },
    ]
  }
  if (source.state === 'paused') {
    return [
      {
        level: 'warn',
        what: `${name} is paused`,
        detail: `${from}; somebody stopped its intake, ${count(source.inFlight)} still in flight.`,
        presses: [{ kind: 'resume', source: name }],
      },
    ]
  }
  if (source.state === 'throttled' && now - since > longThrottleMs) {
    return [
      {
        level: 'warn',
        what: `${name} is slow`,
        detail: `All ${count(source.credit)} of its credit in flight ${from}. ${oldestText(oldestOf(name, jobs), status)}`,
        advice: 'Its handlers end more slowly than events arrive. If none ends within a minute it counts as stuck.',
        presses: pressesFor(oldestOf(name, jobs), { kind: 'source', source: name }),
      },
    ]
  }
  return []
}

const stalled = (
  name: string,
  source: SourceView,
  from: string,
  jobs: readonly JobView[],
  status: HostStatus,
): Finding => {
  const oldest = oldestOf(name, jobs)
  const waits = oldest?.state === 'waiting' && oldest.lock !== undefined
  return {
    level: 'bad',
    what: `${name} is stuck`,
    detail: `${from}: ${count(source.inFlight)} of ${count(source.credit)} in flight and nothing settles. ${oldestText(oldest, status)}`,
    advice: waits
      ? 'See who holds the lock; the source goes on when it is free.'
      : 'Its handler does not end: look at what it waits for. Pause the source to keep others from following; a restart hands the events out again.',
    presses: pressesFor(oldest, { kind: 'pause', source: name }),
  }
}

const oldestOf = (source: string, jobs: readonly JobView[]): JobView | undefined =>
  jobs.filter((job) => job.source === source).toSorted((one, other) => other.ageMs - one.ageMs)[0]

const oldestText = (job: JobView | undefined, status: HostStatus): string => {
  if (job === undefined) return ''
  const event = `${job.type} ${job.id}`
  if (job.state === 'running') return `The oldest is ${event}, running for ${age(job.runningMs ?? job.ageMs)}.`
  const holder = job.lock === undefined ? undefined : status.locks[job.lock]?.holder
  const waitsFor = job.lock === undefined ? 'for its turn' : `for the lock ${job.lock}`
  const held = holder === undefined ? '' : `, held for ${age(holder.heldMs)} by ${holderText(holder)}`
  return `The oldest is ${event}, waiting ${waitsFor} for ${age(job.ageMs)}${held}.`
}

const holderText = (holder: { id: string; type: string; replica: string }): string =>
  holder.id === '' ? holder.replica : `${holder.type} ${holder.id}`

const pressesFor = (job: JobView | undefined, first: Press): readonly Press[] =>
  job === undefined ? [first] : [first, { kind: 'event', id: job.id }, { kind: 'work' }]

const serviceOf = ({ driver, kind }: SourceView): string =>
  ({ rabbitmq: 'RabbitMQ', kafka: 'Kafka', tableQueue: 'Postgres', poll: 'Postgres', webhook: 'the web server' })[
    driver
  ] ?? `the ${kind}`

const journal = ({ journal: { state, error } }: HostStatus): readonly Finding[] =>
  state === 'down'
    ? [
        {
          level: 'bad',
          what: 'The journal does not answer',
          detail: `${error ?? 'Its database cannot be reached'}. Nothing durable is accepted or settled until it does.`,
          advice: 'See whether Postgres is up. Nothing is lost; everything goes on by itself.',
          presses: [],
        },
      ]
    : []

const locks = (
  status: HostStatus,
  sources: readonly (readonly [string, SourceView])[],
  jobs: readonly JobView[],
): readonly Finding[] =>
  Object.entries(status.locks)
    .filter(([, { waiting, longestWaitMs }]) => waiting > 0 && longestWaitMs > longWaitMs)
    .filter(([name]) => !saidAlready(name, sources, jobs))
    .map(([name, { holder, waiting, longestWaitMs }]): Finding => {
      const held =
        holder === undefined
          ? 'held by nobody right now'
          : `held for ${age(holder.heldMs)} by ${holderText(holder)} on ${holder.replica}`
      return {
        level: 'warn',
        what: `The lock ${name} is in demand`,
        detail: `${held}; ${plural(waiting, 'event waits', 'events wait')}, the first for ${age(longestWaitMs)}.`,
        presses: [{ kind: 'work' }],
      }
    })

/** A stuck source whose oldest event waits for the lock has told of it. */
const saidAlready = (
  lock: string,
  sources: readonly (readonly [string, SourceView])[],
  jobs: readonly JobView[],
): boolean => sources.some(([name, { state }]) => state === 'stalled' && oldestOf(name, jobs)?.lock === lock)

const parked = (sources: readonly (readonly [string, SourceView])[]): readonly Finding[] => {
  const having = sources.filter(([, source]) => source.parked > 0)
  const total = having.reduce((sum, [, source]) => sum + source.parked, 0)
  if (total === 0) return []
  const bySource = having.map(([name, source]) => `${count(source.parked)} from ${name}`).join(', ')
  const [only] = having
  const source = having.length === 1 && only !== undefined ? only[0] : ''
  return [
    {
      level: 'warn',
      what: total === 1 ? '1 event is parked' : `${count(total)} events are parked`,
      detail: `${bySource}. Their attempts are used up; they wait until somebody decides.`,
      advice: 'Read the error, repair the cause, then redrive.',
      presses: [
        { kind: 'parked', source },
        { kind: 'redrive', source },
      ],
    },
  ]
}

const slowJobs = (status: HostStatus, jobs: readonly JobView[]): readonly Finding[] => {
  const slow = jobs.filter(
    ({ state, long, runningMs = 0, source }) =>
      state === 'running' && long !== true && runningMs > longRunMs && status.sources[source]?.state !== 'stalled',
  )
  const [oldest] = slow.toSorted((one, other) => (other.runningMs ?? 0) - (one.runningMs ?? 0))
  if (oldest === undefined) return []
  return [
    {
      level: 'warn',
      what: slow.length === 1 ? 'A job takes long' : `${count(slow.length)} jobs take long`,
      detail: `${oldest.type} ${oldest.id} from ${oldest.source} has run for ${age(oldest.runningMs ?? 0)}.`,
      presses: [{ kind: 'event', id: oldest.id }, { kind: 'work' }],
    },
  ]
}

const draining = ({ drain, sources }: HostStatus): readonly Finding[] => {
  if (drain === undefined) return []
  const left = Object.values(sources).reduce((sum, { inFlight }) => sum + inFlight, 0)
  const [oldest] = drain.unsettled
  const last =
    oldest === undefined
      ? ''
      : ` The oldest is ${oldest.type} ${oldest.id} from ${oldest.source}, ${age(oldest.ageMs)} old.`
  return [
    {
      level: drain.phase === 'aborting' ? 'bad' : 'warn',
      what: drain.phase === 'aborting' ? 'The drain is out of time' : 'Draining',
      detail: `for ${age(drain.tookMs)}, ${age(drain.timeLeftMs)} left, now ${words(drain.phase)}: ${count(left)} still in flight.${last}`,
      presses: left > 0 ? [{ kind: 'work' }] : [],
    },
  ]
}

const allIsWell = (
  status: HostStatus,
  sources: readonly (readonly [string, SourceView])[],
  eventsPerSecond: number,
): Finding => {
  const base = { level: 'good', presses: [] } as const
  if (status.state === 'boot') {
    const open = sources.filter(([, { state }]) => state === 'connecting').map(([name]) => name)
    const waits = open.length === 0 ? '' : ` It waits for ${open.join(', ')}.`
    return { ...base, level: 'info', what: 'Starting', detail: `The sources are being connected.${waits}` }
  }
  if (status.state === 'stopped') return { ...base, level: 'info', what: 'Stopped', detail: 'Everything is closed.' }
  const inFlight = sources.reduce((sum, [, source]) => sum + source.inFlight, 0)
  const up = sources.length === 1 ? 'The source is up' : `All ${count(sources.length)} sources are up`
  if (eventsPerSecond === 0 && inFlight === 0) {
    const ever = sources.some(([, { accepted }]) => accepted > 0)
    return {
      ...base,
      what: 'All is well',
      detail: `${up}, nothing is parked. ${ever ? 'Nothing to do right now.' : 'Nothing has arrived yet.'}`,
    }
  }
  return {
    ...base,
    what: 'All is well',
    detail: `${up}, ${rate(eventsPerSecond)} events/s, ${count(inFlight)} in flight, nothing is parked.`,
  }
}
