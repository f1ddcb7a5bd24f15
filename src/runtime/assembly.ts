import { hostname } from 'node:os'
import { createActor } from 'xstate'
import { createWebhookServer } from '../../actors/webhook/server.ts'
import { createDefinitions } from '../../inspector/definition.ts'
import { createRecorder } from '../../inspector/recorder.ts'
import { createRedaction } from '../../inspector/redaction.ts'
import { createSerializer } from '../../inspector/serialize.ts'
import { controllerMachine, sourceActorId } from '../../machines/controller.ts'
import type { EventKind, SourceKind } from '../../machines/event.ts'
import type { JournalHealth } from '../../machines/journal.ts'
import { passing } from '../../machines/sending.ts'
import { sourceMachine } from '../../machines/source.ts'
import type { LiveSecrets } from '../config/liveSecrets.ts'
import { withoutCredentials } from '../config/redact.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import { createOperator } from '../control/operator.ts'
import { createJobs } from '../jobs/jobs.ts'
import { createJournal } from '../journal/journal.ts'
import type { ControllerLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { version } from '../version.ts'
import { afterJournal, driverOf, withBuiltIn } from './drivers.ts'
import { briefOf } from './flightEvents.ts'
import { createFlights } from './flights.ts'
import { journalLogic } from './journalActor.ts'
import { createLatency } from './latency.ts'
import { type LinkParts, linkLogic } from './link.ts'
import { lockNames } from './lockNames.ts'
import { createSecretPaths } from './secretPaths.ts'

/** What the parts are built in: the journal's database, and where they log. */
export interface Surroundings {
  readonly url: string
  readonly log: ControllerLog
}

const kinds: Readonly<Record<SourceKind, EventKind>> = {
  queue: 'queue.event',
  database: 'database.trigger',
  webhook: 'webhook.event',
}

/** Builds journal, jobs, drivers and the root actor around them. Nothing is opened before the root is started. */
export const assemble = (config: ResolvedConfig, { url, log }: Surroundings) => {
  const metrics = createMetrics()
  const latency = createLatency()
  const redaction = { secretPathsOf: createSecretPaths(config.handlers), scrub: withoutCredentials }
  const recorder = createRecorder({
    name: 'koksmat-controller',
    version,
    serialize: createSerializer(createRedaction(redaction)),
    definitions: createDefinitions(),
    brief: briefOf,
  })
  const flights = createFlights(recorder, log.child({ actor: 'recorder' }))
  const sources = withBuiltIn(config)
  let health: (now: JournalHealth) => void = () => undefined
  let journalError: string | undefined
  let isWatched = (): boolean => false

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
    observe: (source, result, seconds) => {
      metrics.observe(source, result, seconds)
      latency.note(seconds)
      if (result === 'parked') flights.parked(source)
    },
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
        count: (counter, labels) => metrics.count(counter, { source: name, ...labels }),
      },
    ]),
  )
  const operator = createOperator({
    parked: journal.parked,
    log,
    secrets: secretsOf(config),
    locks: lockNames(config),
    releaseWaiters: jobs.releaseWaiters,
  })
  const machine = controllerMachine.provide({
    actors: {
      source: recorder.record(
        sourceMachine.provide({ actors: { link: linkLogic((name) => links.get(name) as LinkParts) } }),
      ),
      jobs: jobs.logic,
      operator: operator.logic,
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
  const total = config.shutdownTimeoutMs
  const root = createActor(recorder.record(passing(machine, () => isWatched())), {
    id: 'controller',
    input: {
      sources: Object.entries(sources).map(([name, { kind, credit }]) => ({ name, kind: kinds[kind], credit })),
      policy: {
        preStopMs: config.preStopDelayMs,
        drainMs: Math.round(total * 0.75),
        abortMs: Math.round(total * 0.125),
        closeMs: Math.round(total * 0.125),
      },
    },
  })
  return {
    root,
    operator,
    journal,
    jobs: jobs.view,
    server,
    metrics,
    latency,
    redaction,
    recorder,
    flights,
    sources,
    journalError: () => journalError,
    /** Whoever looks at the actors says here whether somebody does. */
    watchedWhile: (observed: () => boolean): void => {
      isWatched = observed
    },
  }
}

const secretsOf = ({ sources }: ResolvedConfig): ReadonlyMap<string, LiveSecrets> =>
  new Map(
    Object.entries(sources).flatMap(([name, source]): [string, LiveSecrets][] =>
      source.driver === 'webhook' && source.secrets !== undefined ? [[name, source.secrets]] : [],
    ),
  )

export type Assembly = ReturnType<typeof assemble>
