import { type AnyActorRef, createActor, fromCallback } from 'xstate'
import { controllerMachine } from '../../machines/controller.ts'
import type { Driver } from '../../machines/driver.ts'
import type { Ledger } from '../../machines/journal.ts'
import type { JournalCommand, JournalFact, OperatorTask } from '../../machines/protocol.ts'
import { sourceMachine } from '../../machines/source.ts'
import type { ResolvedHandler } from '../../src/config/resolved.ts'
import { createJobs } from '../../src/jobs/jobs.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import { linkLogic } from '../../src/runtime/link.ts'
import type { Run } from '../workload.ts'

/**
 * The whole walk of an event, put together as `src/controller.ts` does it, around one driver; without
 * the admin port, and with a journal that whoever calls opens and closes.
 */
export interface WalkParts {
  readonly driver: Driver
  readonly handlers: readonly ResolvedHandler[]
  readonly ledger: Ledger
  /** The run is over when so many deliveries have come back to the driver. */
  readonly events: number
  /** Looks at the root before it starts. */
  look?(root: AnyActorRef): void
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

export const walk = ({ driver, handlers, ledger, events, look, end }: WalkParts): Run => {
  const settled = Promise.withResolvers<void>()
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
  const link = linkLogic(() => ({
    driver: counting(driver, events, settled.resolve),
    log,
    gauge: metrics.gauge,
    count: metrics.count,
  }))
  const machine = controllerMachine.provide({
    actors: {
      source: sourceMachine.provide({ actors: { link } }),
      jobs: jobs.logic,
      journal: openJournal,
      operator: fromCallback<OperatorTask>(() => {}),
    },
  })
  const sources = [{ name: 'bench', kind: driver.kind, credit }]
  const root = createActor(machine, { id: 'controller', input: { sources, policy } })
  look?.(root)
  root.subscribe({ complete: stopped.resolve, error: settled.reject })
  return {
    go: async () => {
      root.start()
      await settled.promise
      return undefined
    },
    end: async () => {
      root.send({ type: 'controller.drain', reason: 'bench' })
      await stopped.promise
      const { done } = root.getSnapshot().context.sources['bench']?.results ?? {}
      if (done !== events) throw new Error(`${done} of ${events} events were handled.`)
      await end?.()
    },
  }
}

/** Tells when a number of settlements has reached the driver. */
const counting = (driver: Driver, events: number, reached: () => void): Driver => ({
  kind: driver.kind,
  connect: async (host) => {
    const link = await driver.connect(host)
    let settled = 0
    return {
      consume: link.consume,
      pause: link.pause,
      resume: link.resume,
      creditChanged: link.creditChanged,
      cancel: link.cancel,
      disconnect: link.disconnect,
      settle: (batch) => {
        link.settle(batch)
        settled += batch.length
        if (settled >= events) reached()
      },
    }
  },
})
