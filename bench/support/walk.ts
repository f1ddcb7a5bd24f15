import { type AnyActorRef, createActor, fromCallback } from 'xstate'
import type { Inspector } from '../../inspector/index.ts'
import { controllerMachine } from '../../machines/controller.ts'
import { nothingCounted } from '../../machines/counts.ts'
import type { Credit, Driver } from '../../machines/driver.ts'
import type { Ledger } from '../../machines/journal.ts'
import type { JournalCommand, JournalFact, OperatorTask } from '../../machines/protocol.ts'
import { passing } from '../../machines/sending.ts'
import { sourceMachine } from '../../machines/source.ts'
import type { ResolvedHandler } from '../../src/config/resolved.ts'
import { makeObjectsYoung } from '../../src/heap.ts'
import { createJobs } from '../../src/jobs/jobs.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import { linkLogic } from '../../src/runtime/link.ts'
import type { Run } from '../workload.ts'
import { createMeter } from './meter.ts'

/**
 * The whole walk of an event, put together as `src/controller.ts` does it, around one driver, in a process set up as
 * `src/main.ts` does; without the admin port, and with a journal that whoever calls opens and closes.
 */
export interface WalkParts {
  readonly driver: Driver
  /** Brings back what failed. */
  readonly retries?: Driver
  readonly handlers: readonly ResolvedHandler[]
  readonly ledger: Ledger
  /** The run is over when so many events are done. */
  readonly events: number
  /** Runs of handlers that fail; each is settled like one that does not. */
  readonly failures?: number
  /** Of the driver (default: `credit`). */
  readonly credit?: Credit
  /** Tells how long it took from each event's `sentAt` to its settlement, but for those that are settled first: so many. */
  readonly timedAfter?: number
  /** Called with each settlement that has reached the driver. */
  settled?(count: number): void
  /** Looks at the root before it starts. */
  look?(root: AnyActorRef): Pick<Inspector, 'observers'>
  end?(): Promise<void>
}

/** A handler with every default of a real configuration. */
export const handlerOf = (
  handle: NonNullable<ResolvedHandler['handle']>,
  more: Partial<ResolvedHandler> = {},
): ResolvedHandler => ({
  type: '*',
  handle,
  retry: { attempts: 5, inPlace: 0, backoffMs: 1_000, maxBackoffMs: 60_000 },
  timeoutMs: 30_000,
  long: false,
  ...more,
})

export const credit = { events: 1_000, bytes: 64 * 1_024 * 1_024 }

const log = createLog({ level: 'silent', format: 'json' })
const metrics = createMetrics()
const policy = { preStopMs: 0, drainMs: 20_000, abortMs: 2_000, closeMs: 2_000 }

const openJournal = fromCallback<JournalCommand>(({ sendBack, receive }) => {
  const tell = (fact: JournalFact): void => sendBack(fact)
  receive(() => tell({ type: 'journal.closed' }))
  tell({ type: 'journal.up' })
})

export const walk = (parts: WalkParts): Run => {
  makeObjectsYoung()
  const { driver, retries, handlers, ledger, events, failures = 0, timedAfter } = parts
  const meter = createMeter(events + failures, timedAfter, parts.settled)
  const stopped = Promise.withResolvers<void>()
  const jobs = createJobs({
    handlers,
    concurrency: 16,
    lockWaitMs: 10_000,
    codeVersion: 'bench',
    ledger,
    log,
    observe: metrics.observe,
  })
  const drivers = new Map([['bench', meter.on(driver)]])
  if (retries !== undefined) drivers.set('journal', meter.on(retries))
  const link = linkLogic((name) => ({
    driver: drivers.get(name) as Driver,
    log,
    gauge: metrics.gauge,
    count: metrics.count,
  }))
  let inspector: Pick<Inspector, 'observers'> | undefined
  const machine = passing(
    controllerMachine.provide({
      actors: {
        source: sourceMachine.provide({ actors: { link } }),
        jobs: jobs.logic,
        journal: openJournal,
        operator: fromCallback<OperatorTask>(() => {}),
      },
    }),
    () => inspector !== undefined && inspector.observers() > 0,
  )
  const sources = [...drivers].map(([name, { kind }]) => ({ name, kind, credit: parts.credit ?? credit }))
  const root = createActor(machine, { id: 'controller', input: { sources, policy } })
  inspector = parts.look?.(root)
  root.subscribe({ complete: stopped.resolve, error: meter.fail })
  return {
    go: async () => {
      root.start()
      return meter.reached
    },
    end: async () => {
      root.send({ type: 'controller.drain', reason: 'bench' })
      await stopped.promise
      const counts = Object.values(root.getSnapshot().context.sources).map((facts) => facts.counts ?? nothingCounted)
      const done = counts.reduce((sum, { results }) => sum + results.done, 0)
      if (done < events) throw new Error(`${done} of ${events} events were handled.`)
      await parts.end?.()
    },
  }
}
