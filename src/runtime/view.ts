import { controllerMachine, sourceActorId } from '../../machines/controller.ts'
import type { SourceFacts } from '../../machines/facts.ts'
import { defaultSourcePolicy, sourceMachine } from '../../machines/source.ts'
import type { Probes } from '../admin/target.ts'
import type { ResolvedConfig, ResolvedSource } from '../config/resolved.ts'
import { describeMachine } from '../graph.ts'
import { progressOf } from '../jobs/progress.ts'
import type { Task } from '../jobs/task.ts'
import type { DrainReport, JobStatus, SourceStatus, Status } from '../status.ts'
import { version } from '../version.ts'
import type { Assembly } from './assembly.ts'
import { createLocks } from './locks.ts'
import { drainReport } from './report.ts'
import { sourceCounts, sourceSnapshot } from './sourceActors.ts'
import type { StateTimes } from './stateTimes.ts'

/** What can be seen of a running controller: all of it read from the root's snapshot, the jobs and the journal. */
export interface View {
  status(): Promise<Status>
  probes(): Probes
  metrics(): Promise<string>
  graph(): unknown
  report(clean: boolean): DrainReport
  /** The drain has begun; called again it says nothing new. */
  drainBegan(): void
}

export const createView = (config: ResolvedConfig, assembly: Assembly, times: StateTimes): View => {
  const { root, journal, jobs, metrics, sources, journalError } = assembly
  const startedAt = new Date()
  const locks = createLocks(config, assembly)
  let drainSince: number | undefined

  const stateName = (): Status['state'] => {
    const { value } = root.getSnapshot()
    return typeof value === 'string' ? value : 'draining'
  }

  const report = (clean: boolean): DrainReport => {
    const snapshot = root.getSnapshot()
    const { context, value } = snapshot
    const now = performance.now()
    return drainReport({
      clean,
      reason: context.reason,
      phase: typeof value === 'string' ? value : String(Object.values(value)[0]),
      since: drainSince ?? now,
      now,
      budgetMs: config.shutdownTimeoutMs,
      sources: Object.entries(context.sources).map(([name, { state }]) => [name, state, sourceCounts(snapshot, name)]),
      unsettled: jobs.unsettled(),
    })
  }

  const probes = (): Probes => {
    const snapshot = root.getSnapshot()
    const { context } = snapshot
    const why: string[] = []
    if (!snapshot.hasTag('ready')) why.push(`the controller is in ${stateName()}`)
    if (context.journal !== 'up') why.push('the journal does not answer')
    for (const [name, { state }] of Object.entries(context.sources)) {
      if (sourceSnapshot(snapshot, name)?.hasTag('ready') !== true) why.push(`source ${name} is in ${state}`)
    }
    return { live: snapshot.status === 'active', started: snapshot.hasTag('started'), ready: why.length === 0, why }
  }

  const parkedCounts = async (): Promise<Readonly<Record<string, number>>> => {
    if (root.getSnapshot().context.journal !== 'up') return {}
    return journal.parked.counts().catch(() => ({}))
  }

  const sourceStatuses = (parked: Readonly<Record<string, number>>): Record<string, SourceStatus> => {
    const snapshot = root.getSnapshot()
    return Object.fromEntries(
      Object.entries(snapshot.context.sources).map(([name, facts]) => [
        name,
        {
          kind: facts.kind,
          driver: sources[name]?.driver ?? '',
          state: facts.state,
          stateSince: (times.since(name) ?? startedAt).toISOString(),
          ...troubleOf(facts, times.since(name), times.downSince(name)),
          ...sourceCounts(snapshot, name),
          parked: parked[name] ?? 0,
          credit: facts.credit.events,
          reconnects: facts.reconnects,
          ...(facts.error === undefined ? {} : { lastError: facts.error }),
          ...secretsOf(sources[name]),
        },
      ]),
    )
  }

  const status = async (): Promise<Status> => {
    const [parked, lockStates] = await Promise.all([parkedCounts(), locks()])
    const error = journalError()
    return {
      name: 'koksmat-controller',
      version,
      pid: process.pid,
      state: stateName(),
      startedAt: startedAt.toISOString(),
      sources: sourceStatuses(parked),
      journal: { state: root.getSnapshot().context.journal, ...(error === undefined ? {} : { error }) },
      jobs: { running: jobs.running(), waiting: jobs.waiting(), ...jobLines(jobs.unsettled()) },
      locks: lockStates,
      ...(drainSince === undefined ? {} : { drain: report(false) }),
    }
  }

  const render = async (): Promise<string> => {
    const parked = await parkedCounts()
    const snapshot = root.getSnapshot()
    return metrics.render({
      mailboxDepth: jobs.waiting(),
      version,
      ready: probes().ready,
      ...(drainSince === undefined ? {} : { drainMs: performance.now() - drainSince }),
      sources: Object.fromEntries(
        Object.entries(snapshot.context.sources).map(([name, { kind, state, reconnects }]) => [
          name,
          {
            kind,
            state,
            reconnects,
            ...sourceCounts(snapshot, name),
            stateMs: times.totals(name),
            parked: parked[name] ?? 0,
          },
        ]),
      ),
    })
  }

  const graph = (): unknown => {
    const snapshot = root.getSnapshot()
    return [
      describeMachine('controller', controllerMachine, snapshot.value),
      ...Object.keys(sources).map((name) =>
        describeMachine(sourceActorId(name), sourceMachine, sourceSnapshot(snapshot, name)?.value),
      ),
    ]
  }

  const drainBegan = (): void => {
    drainSince ??= performance.now()
  }
  return { status, probes, metrics: render, graph, report, drainBegan }
}

const secretsOf = (source: ResolvedSource | undefined): Pick<SourceStatus, 'secrets'> =>
  source?.driver === 'webhook' && source.secrets !== undefined ? { secrets: source.secrets.list() } : {}

/** A source is found to be stalled a while after the last settlement. */
const troubleOf = (
  { state, error }: SourceFacts,
  since: Date | undefined,
  downSince: Date | undefined,
): Pick<SourceStatus, 'troubleSince'> => {
  if (state === 'stalled' && since !== undefined) {
    return { troubleSince: new Date(since.getTime() - defaultSourcePolicy.stallAfterMs).toISOString() }
  }
  const fails = state === 'backingOff' || (state === 'connecting' && error !== undefined)
  return fails && downSince !== undefined ? { troubleSince: downSince.toISOString() } : {}
}

const mostListed = 100

/** One pass over what is not settled: all long jobs that run, and the oldest of all. */
const jobLines = (unsettled: readonly Task[]): Pick<Status['jobs'], 'list' | 'long'> => {
  const now = performance.now()
  const oldest = [...unsettled].sort((a, b) => a.admittedAt - b.admittedAt).slice(0, mostListed)
  return {
    list: oldest.map((task) => jobLine(task, now)),
    long: unsettled.flatMap(({ long, startedAt, event: { id, type }, progress }) =>
      long && startedAt !== undefined
        ? [{ id, type, runningMs: Math.round(now - startedAt), ...progressOf(progress) }]
        : [],
    ),
  }
}

const jobLine = (task: Task, now: number): JobStatus => {
  const { source, event, startedAt, admittedAt, lane, lock, long, progress } = task
  return {
    source,
    id: event.id,
    type: event.type,
    state: startedAt === undefined ? 'waiting' : 'running',
    ageMs: Math.round(now - admittedAt),
    ...(startedAt === undefined ? {} : { runningMs: Math.round(now - startedAt) }),
    ...(lane === undefined ? {} : { lane }),
    ...(lock === undefined ? {} : { lock }),
    ...(long ? { long } : {}),
    ...progressOf(progress),
  }
}
