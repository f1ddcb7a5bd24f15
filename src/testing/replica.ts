import { createActor, fromCallback } from 'xstate'
import { type ControllerPolicy, controllerMachine } from '../../machines/controller.ts'
import type { Credit, Driver } from '../../machines/driver.ts'
import type { Ledger } from '../../machines/journal.ts'
import type { OperatorTask } from '../../machines/protocol.ts'
import { sourceMachine } from '../../machines/source.ts'
import type { ResolvedHandler } from '../config/resolved.ts'
import type { Clock } from '../jobs/deadlines.ts'
import { createJobs } from '../jobs/jobs.ts'
import type { Journal } from '../journal/journal.ts'
import type { ControllerLog } from '../log.ts'
import { afterJournal } from '../runtime/drivers.ts'
import { journalLogic } from '../runtime/journalActor.ts'
import { linkLogic } from '../runtime/link.ts'

/**
 * One replica of a controller, put together as `src/runtime/assembly.ts` does it, of the same machines, links and jobs;
 * only what lies outside of the process is given: drivers, journal and clock.
 */
export interface ReplicaParts {
  readonly sources: Readonly<Record<string, ReplicaSource>>
  readonly handlers: readonly ResolvedHandler[]
  readonly concurrency: number
  readonly lockWaitMs: number
  readonly policy: ControllerPolicy
  readonly journal: Pick<Journal, 'open' | 'close'>
  readonly ledger: Ledger
  readonly log: ControllerLog
  readonly clock?: Clock
  /** Default: that of the product. */
  readonly calmMs?: number
  /** Instead of the machine of the product. */
  readonly source?: typeof sourceMachine
}

export interface ReplicaSource {
  readonly driver: Driver
  readonly credit: Credit
}

export const createReplica = (parts: ReplicaParts) => {
  const { sources, log, journal, clock, calmMs } = parts
  const timers = clock === undefined ? {} : { clock }
  const jobs = createJobs({
    handlers: parts.handlers,
    concurrency: parts.concurrency,
    lockWaitMs: parts.lockWaitMs,
    codeVersion: 'test',
    ledger: parts.ledger,
    log,
    observe: () => undefined,
    ...timers,
    ...(calmMs === undefined ? {} : { calmMs }),
  })
  const answered = Promise.withResolvers<void>()
  const link = linkLogic((name) => ({
    driver: afterJournal((sources[name] as ReplicaSource).driver, answered.promise),
    log,
    gauge: () => undefined,
    count: () => undefined,
  }))
  const machine = controllerMachine.provide({
    actors: {
      source: (parts.source ?? sourceMachine).provide({ actors: { link } }),
      jobs: jobs.logic,
      operator: nobody,
      journal: journalLogic({
        journal,
        log,
        prepare: async () => undefined,
        onAnswered: answered.resolve,
        onHealth: () => undefined,
      }),
    },
  })
  const specs = Object.entries(sources).map(([name, { driver, credit }]) => ({ name, kind: driver.kind, credit }))
  const root = createActor(machine, { id: 'controller', input: { sources: specs, policy: parts.policy }, ...timers })
  return { root, jobs: jobs.view }
}

export const silentLog: ControllerLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  fatal: () => undefined,
  child: () => silentLog,
  flush: () => undefined,
}

/** A test calls the controller's handlers, and gives it no commands. */
const nobody = fromCallback<OperatorTask>(() => {})
