import { hostname } from 'node:os'
import { createActor } from 'xstate'
import { createWebhookServer } from '../actors/webhook/server.ts'
import { controllerMachine, sourceActorId } from '../machines/controller.ts'
import type { EventKind, SourceKind } from '../machines/event.ts'
import type { JournalHealth, Parked } from '../machines/journal.ts'
import { sourceMachine } from '../machines/source.ts'
import { startAdmin } from './admin/server.ts'
import type { Probes } from './admin/target.ts'
import { processEnvironment } from './config/environment.ts'
import type { ResolvedConfig } from './config/resolved.ts'
import { embeddedFolder } from './embedded/folder.ts'
import { startEmbeddedPostgres } from './embedded/postgres.ts'
import { describeMachine } from './graph.ts'
import { createJobs } from './jobs/jobs.ts'
import type { Task } from './jobs/task.ts'
import { createJournal } from './journal/journal.ts'
import type { ControllerLog } from './log.ts'
import { createMetrics } from './metrics.ts'
import { afterJournal, driverOf, withBuiltIn } from './runtime/drivers.ts'
import { journalLogic } from './runtime/journalActor.ts'
import { type LinkParts, linkLogic } from './runtime/link.ts'
import { drainReport } from './runtime/report.ts'
import { createStateTimes } from './runtime/stateTimes.ts'
import type { DrainReport, LockStatus, SourceStatus, Status } from './status.ts'
import { version } from './version.ts'

/**
 * The composition root: builds journal, jobs, drivers and the machine around them, and stands for all of them.
 *
 * Order of a life: embedded PostgreSQL (where asked for) → admin port → the root actor, which opens everything else →
 * … drain … → admin port → embedded PostgreSQL.
 */
export interface Controller {
  /**
   * Resolves when the controller runs: every source has answered, if only that it backs off.
   * @throws ControllerError EMBEDDED_POSTGRES_FAILED, PORT_IN_USE
   */
  start(): Promise<void>
  drain(reason: string): void
  abort(reason: string): void
  /** Resolves when everything is closed. 0: clean, 1: died, 3: aborted with unsettled events. */
  readonly stopped: Promise<{ readonly exitCode: 0 | 1 | 3; readonly report: DrainReport }>
  status(): Promise<Status>
  probes(): Probes
  metrics(): Promise<string>
  readonly parked: Parked
  graph(): unknown
}

const kinds: Readonly<Record<SourceKind, EventKind>> = {
  queue: 'queue.event',
  database: 'database.trigger',
  webhook: 'webhook.event',
}

export interface ControllerOptions {
  readonly log: ControllerLog
  /** Where the embedded PostgreSQL has its folder `.koksmat`. */
  readonly folder: string
}

interface Running {
  status(): Promise<Status>
  probes(): Probes
  metrics(): Promise<string>
  graph(): unknown
  readonly parked: Parked
  drain(reason: string): void
  abort(reason: string): void
}

export const createController = (config: ResolvedConfig, { log, folder }: ControllerOptions): Controller => {
  const stopped = Promise.withResolvers<{ exitCode: 0 | 1 | 3; report: DrainReport }>()
  let running: Running | undefined
  let drainedEarly: string | undefined

  const need = (): Running => {
    if (running === undefined) throw new Error('The controller has not been started.')
    return running
  }

  const start = async (): Promise<void> => {
    const startedAt = new Date()
    const embedded = config.journal.url === undefined ? await startEmbedded(folder, log) : undefined
    const url = config.journal.url ?? embedded?.url ?? ''
    try {
      const up = Promise.withResolvers<void>()
      running = await run(config, { url, log, startedAt, onRunning: up.resolve, onStopped })
      if (drainedEarly !== undefined) running.drain(drainedEarly)
      await Promise.race([up.promise, stopped.promise])
    } catch (thrown) {
      await embedded?.stop()
      throw thrown
    }
    async function onStopped(exitCode: 0 | 1 | 3, report: DrainReport): Promise<void> {
      await embedded?.stop()
      stopped.resolve({ exitCode, report })
    }
  }

  return {
    start,
    drain: (reason) => {
      drainedEarly ??= reason
      running?.drain(reason)
    },
    abort: (reason) => running?.abort(reason),
    stopped: stopped.promise,
    status: () => need().status(),
    probes: () => running?.probes() ?? { live: true, started: false, ready: false, why: ['not started'] },
    metrics: () => need().metrics(),
    get parked() {
      return need().parked
    },
    graph: () => need().graph(),
  }
}

const startEmbedded = async (folder: string, log: ControllerLog): Promise<{ url: string; stop(): Promise<void> }> => {
  const postgres = await startEmbeddedPostgres({ folder: embeddedFolder(folder), path: processEnvironment()['PATH'] })
  log.info({ reused: postgres.reused }, 'no DATABASE_URL: embedded PostgreSQL started in .koksmat')
  return postgres
}

interface Surroundings {
  readonly url: string
  readonly log: ControllerLog
  readonly startedAt: Date
  onRunning(): void
  onStopped(exitCode: 0 | 1 | 3, report: DrainReport): Promise<void>
}

const run = async (config: ResolvedConfig, around: Surroundings): Promise<Running> => {
  const { url, log, startedAt, onRunning, onStopped } = around
  const metrics = createMetrics()
  const sources = withBuiltIn(config)
  const times = createStateTimes()
  let health: (now: JournalHealth) => void = () => undefined
  let journalError: string | undefined

  const journal = createJournal({
    url,
    schema: config.journal.schema,
    migrate: config.journal.migrate,
    version: config.codeVersion,
    replicaName: `${hostname()}:${process.pid}`,
    log: log.child({ actor: 'journal' }),
    onHealth: (now) => {
      journalError = now.up ? undefined : now.error.message
      health(now)
    },
  })
  const jobs = createJobs({
    handlers: config.handlers,
    concurrency: config.concurrency,
    lockWaitMs: config.lockWaitMs,
    codeVersion: config.codeVersion,
    ledger: journal.ledger,
    log: log.child({ actor: 'jobs' }),
    observe: metrics.observe,
  })
  const server = createWebhookServer({ ...config.webhooks, log: log.child({ actor: 'webhooks' }) })
  const answered = Promise.withResolvers<void>()
  const links = new Map(
    Object.entries(sources).map(([name, source]): [string, LinkParts] => [
      name,
      {
        driver: afterJournal(driverOf(source, { intake: journal.intake, journalUrl: url, server }), answered.promise),
        log: log.child({ actor: sourceActorId(name) }),
        gauge: (gauge, value, labels) => metrics.gauge(gauge, value, { source: name, ...labels }),
      },
    ]),
  )

  const total = config.shutdownTimeoutMs
  const policy = {
    preStopMs: config.preStopDelayMs,
    drainMs: Math.round(total * 0.75),
    abortMs: Math.round(total * 0.125),
    closeMs: Math.round(total * 0.125),
  }
  const machine = controllerMachine.provide({
    actors: {
      source: sourceMachine.provide({ actors: { link: linkLogic((name) => links.get(name) as LinkParts) } }),
      jobs: jobs.logic,
      journal: journalLogic({
        journal,
        log: log.child({ actor: 'journal' }),
        prepare: async () => {
          const { prepare } = config
          if (prepare !== undefined) await journal.intake.transaction(prepare)
        },
        onAnswered: answered.resolve,
        onHealth: (listener) => {
          health = listener
        },
      }),
    },
  })
  const specs = Object.entries(sources).map(([name, { kind, credit }]) => ({ name, kind: kinds[kind], credit }))
  const root = createActor(machine, { id: 'controller', input: { sources: specs, policy } })

  let drainSince: number | undefined
  const report = (clean: boolean): DrainReport => {
    const { context, value } = root.getSnapshot()
    const phase = typeof value === 'string' ? value : String(Object.values(value)[0])
    const now = performance.now()
    const { reason } = context
    const since = drainSince ?? now
    return drainReport({ clean, reason, phase, since, now, budgetMs: total, context, unsettled: jobs.view.unsettled() })
  }
  const stateName = (): Status['state'] => {
    const { value } = root.getSnapshot()
    return typeof value === 'string' ? value : 'draining'
  }

  const probes = (): Probes => {
    const snapshot = root.getSnapshot()
    const { context } = snapshot
    const why: string[] = []
    if (!snapshot.hasTag('ready')) why.push(`the controller is in ${stateName()}`)
    if (context.journal !== 'up') why.push('the journal does not answer')
    for (const [name, { state }] of Object.entries(context.sources)) {
      const actor = snapshot.children[sourceActorId(name)]
      const ready = (actor?.getSnapshot() as { hasTag?(tag: string): boolean } | undefined)?.hasTag?.('ready') === true
      if (!ready) why.push(`source ${name} is in ${state}`)
    }
    return { live: snapshot.status === 'active', started: snapshot.hasTag('started'), ready: why.length === 0, why }
  }

  const parkedCounts = async (): Promise<Readonly<Record<string, number>>> => {
    if (root.getSnapshot().context.journal !== 'up') return {}
    return journal.parked.counts().catch(() => ({}))
  }
  const lockNames = [...new Set(config.handlers.flatMap(({ lock }) => (lock === undefined ? [] : [lock])))]
  const locks = async (): Promise<Record<string, LockStatus>> => {
    if (lockNames.length === 0 || root.getSnapshot().context.journal !== 'up') return {}
    const known = await journal.locks(lockNames).catch((): Awaited<ReturnType<typeof journal.locks>> => ({}))
    const here = jobs.view.unsettled()
    return Object.fromEntries(
      lockNames.map((name) => [
        name,
        lockStatus(
          known[name],
          here.filter(({ lock }) => lock === name),
        ),
      ]),
    )
  }

  const status = async (): Promise<Status> => {
    const { context } = root.getSnapshot()
    const [parked, lockStates] = await Promise.all([parkedCounts(), locks()])
    const now = performance.now()
    return {
      name: 'koksmat-controller',
      version,
      pid: process.pid,
      state: stateName(),
      startedAt: startedAt.toISOString(),
      sources: Object.fromEntries(
        Object.entries(context.sources).map(([name, facts]): [string, SourceStatus] => [
          name,
          {
            kind: facts.kind,
            driver: sources[name]?.driver ?? '',
            state: facts.state,
            stateSince: (times.since(name) ?? startedAt).toISOString(),
            accepted: facts.accepted,
            settled: facts.settled,
            inFlight: facts.inFlight,
            parked: parked[name] ?? 0,
            credit: sources[name]?.credit.events ?? 0,
            reconnects: facts.reconnects,
            ...(facts.error === undefined ? {} : { lastError: facts.error }),
          },
        ]),
      ),
      journal: { state: context.journal, ...(journalError === undefined ? {} : { error: journalError }) },
      jobs: {
        running: jobs.view.running(),
        waiting: jobs.view.waiting(),
        long: jobs.view
          .unsettled()
          .filter((task) => task.long && task.startedAt !== undefined)
          .map((task) => longLine(task, now)),
      },
      locks: lockStates,
      ...(drainSince === undefined ? {} : { drain: report(false) }),
    }
  }

  const render = async (): Promise<string> => {
    const { context } = root.getSnapshot()
    const parked = await parkedCounts()
    return metrics.render({
      version,
      ready: probes().ready,
      ...(drainSince === undefined ? {} : { drainMs: performance.now() - drainSince }),
      sources: Object.fromEntries(
        Object.entries(context.sources).map(([name, facts]) => [
          name,
          { ...facts, stateMs: times.totals(name), parked: parked[name] ?? 0 },
        ]),
      ),
    })
  }

  const drain = (reason: string): void => {
    drainSince ??= performance.now()
    server.shed()
    log.info({ reason }, 'drain began')
    root.send({ type: 'controller.drain', reason })
  }
  const live: Running = {
    status,
    probes,
    metrics: render,
    graph: () => {
      const { value, children } = root.getSnapshot()
      return [
        describeMachine('controller', controllerMachine, value),
        ...Object.keys(sources).map((name) => {
          const snapshot = children[sourceActorId(name)]?.getSnapshot() as { value?: unknown } | undefined
          return describeMachine(sourceActorId(name), sourceMachine, snapshot?.value)
        }),
      ]
    },
    parked: journal.parked,
    drain,
    abort: (reason) => {
      drainSince ??= performance.now()
      root.send({ type: 'controller.abort', reason })
    },
  }

  const admin = await startAdmin({
    host: config.admin.host,
    port: config.admin.port,
    token: config.admin.token,
    target: live,
    log: log.child({ actor: 'admin' }),
  })
  root.on('source.moved', ({ source, state, error }) => {
    times.moved(source, state)
    const fields = { source, state, ...(error === undefined ? {} : { code: error.code, reason: error.message }) }
    if (error !== undefined) log.warn(fields, 'source backs off')
    else if (state === 'throttled' || state === 'listening') log.debug(fields, 'source moved')
    else log.info(fields, 'source moved')
  })
  const finish = async (exitCode: 0 | 1 | 3, last: DrainReport): Promise<void> => {
    await admin.close()
    await onStopped(exitCode, last)
  }
  root.subscribe({
    next: (snapshot) => {
      if (snapshot.matches('running')) onRunning()
    },
    error: (thrown) => {
      log.fatal({ err: thrown }, 'the root actor died')
      void finish(1, report(false))
    },
    complete: () => {
      const clean = root.getSnapshot().output?.clean ?? false
      void finish(clean ? 0 : 3, report(clean))
    },
  })
  root.start()
  log.info({ admin: admin.port, sources: Object.keys(sources) }, 'controller started')
  return live
}

const longLine = (task: Task, now: number): Status['jobs']['long'][number] => ({
  id: task.event.id,
  type: task.event.type,
  runningMs: Math.round(now - (task.startedAt ?? now)),
  ...(task.progress === undefined ? {} : { progress: task.progress }),
})

const lockStatus = (
  known: { holder?: { replica: string; heldMs: number }; waiting: number; longestWaitMs: number } | undefined,
  here: readonly Task[],
): LockStatus => {
  const now = performance.now()
  const held = here.find((task) => task.startedAt !== undefined)
  const waiting = here.filter((task) => task.startedAt === undefined)
  const longest = waiting.reduce((most, task) => Math.max(most, now - task.admittedAt), 0)
  return {
    ...(known?.holder === undefined
      ? {}
      : { holder: { ...known.holder, id: held?.event.id ?? '', type: held?.event.type ?? '' } }),
    waiting: (known?.waiting ?? 0) + waiting.length,
    longestWaitMs: Math.round(Math.max(known?.longestWaitMs ?? 0, longest)),
  }
}
