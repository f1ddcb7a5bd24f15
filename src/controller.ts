import type { Parked } from '../machines/journal.ts'
import type { ControllerCommand } from '../machines/protocol.ts'
import { startAdmin } from './admin/server.ts'
import type { AdminTarget, Probes } from './admin/target.ts'
import { processEnvironment } from './config/environment.ts'
import type { ResolvedConfig } from './config/resolved.ts'
import { createControl } from './control/control.ts'
import { embeddedFolder } from './embedded/folder.ts'
import { startEmbeddedPostgres } from './embedded/postgres.ts'
import type { ControllerLog } from './log.ts'
import { assemble, type Surroundings } from './runtime/assembly.ts'
import { createInspection } from './runtime/inspection.ts'
import { createSourceLog } from './runtime/sourceLog.ts'
import { createStateTimes } from './runtime/stateTimes.ts'
import { createView } from './runtime/view.ts'
import type { DrainReport, Status } from './status.ts'

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
  /** The process is about to end by an error nobody caught: what led to it is written to a file. */
  crashed(thrown: unknown): void
  /**
   * Resolves when everything is closed, after the last line of the log, the drain report. 0: clean, 1: died, 3: aborted
   * with unsettled events.
   */
  readonly stopped: Promise<{ readonly exitCode: 0 | 1 | 3; readonly report: DrainReport }>
  status(): Promise<Status>
  probes(): Probes
  metrics(): Promise<string>
  readonly parked: Parked
  graph(): unknown
}

export interface ControllerOptions {
  readonly log: ControllerLog
  /** Where the embedded PostgreSQL has its folder `.koksmat`. */
  readonly folder: string
}

interface Running extends AdminTarget {
  crashed(thrown: unknown): void
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
    const embedded = config.journal.url === undefined ? await startEmbedded(folder, log) : undefined
    const url = config.journal.url ?? embedded?.url ?? ''
    try {
      const up = Promise.withResolvers<void>()
      running = await run(config, { url, log, onRunning: up.resolve, onStopped })
      if (drainedEarly !== undefined) running.drain(drainedEarly)
      await Promise.race([up.promise, stopped.promise])
    } catch (thrown) {
      await embedded?.stop()
      throw thrown
    }
    async function onStopped(exitCode: 0 | 1 | 3, report: DrainReport): Promise<void> {
      await embedded?.stop()
      if (report.clean) log.info(report, 'drained')
      else log.warn(report, 'aborted')
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
    crashed: (thrown) => running?.crashed(thrown),
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

interface Life extends Surroundings {
  onRunning(): void
  onStopped(exitCode: 0 | 1 | 3, report: DrainReport): Promise<void>
}

const run = async (config: ResolvedConfig, { url, log, onRunning, onStopped }: Life): Promise<Running> => {
  const assembly = assemble(config, { url, log })
  const { root, operator, journal, server, sources } = assembly
  const times = createStateTimes()
  const { report, drainBegan, ...seen } = createView(config, assembly, times)

  const tell = (event: ControllerCommand): void => {
    if (root.getSnapshot().status === 'active') root.send(event)
  }
  const drainBegins = (reason: string): void => {
    drainBegan()
    server.shed()
    log.info({ reason }, 'drain began')
  }
  const control = createControl({
    operator,
    log: log.pinned?.({ actor: 'operator' }) ?? log.child({ actor: 'operator' }),
    send: tell,
    onDrain: drainBegins,
    onAnswered: (listener) => void root.on('controller.answered', listener),
  })

  const running: Running = {
    ...seen,
    parked: journal.parked,
    control,
    drain: (reason) => {
      drainBegins(reason)
      tell({ type: 'controller.drain', reason })
    },
    crashed: assembly.flights.crashed,
    abort: (reason) => {
      drainBegan()
      tell({ type: 'controller.abort', reason })
    },
  }
  const { host, port, tokens } = config.admin
  const inspector = createInspection(config, { assembly, running, log: log.child({ actor: 'inspector' }) })
  const admin = await startAdmin({
    host,
    port,
    tokens,
    target: running,
    log: log.child({ actor: 'admin' }),
    guest: inspector?.mounted,
  })
  const finish = async (exitCode: 0 | 1 | 3, last: DrainReport): Promise<void> => {
    control.end()
    assembly.flights.close()
    await inspector?.close()
    await admin.close()
    await onStopped(exitCode, last)
  }

  const sourceLog = createSourceLog(log, () => performance.now())
  root.on('source.moved', (moved) => {
    times.moved(moved.source, moved.state)
    sourceLog(moved)
  })
  const bootBegan = performance.now()
  let booted = false
  root.subscribe({
    next: (snapshot) => {
      if (booted || !snapshot.matches('running')) return
      booted = true
      log.info({ tookMs: Math.round(performance.now() - bootBegan) }, 'controller running')
      onRunning()
    },
    error: (thrown) => {
      log.fatal({ err: thrown }, 'the root actor died')
      assembly.flights.crashed(thrown)
      void finish(1, report(false))
    },
    complete: () => {
      const clean = root.getSnapshot().output?.clean ?? false
      void finish(clean ? 0 : 3, report(clean))
    },
  })
  root.start()
  const page = inspector === undefined ? {} : { inspector: `http://${inUrl(host)}:${admin.port}/inspector/` }
  log.info({ admin: admin.port, ...page, sources: Object.keys(sources) }, 'controller started')
  if (Object.keys(tokens).length === 0) {
    log.warn({}, 'no KOKSMAT_INSPECTOR_TOKEN: anyone on this machine may operate; for development only')
  }
  return running
}

const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host)
