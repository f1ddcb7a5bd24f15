import { afterEach } from 'vitest'
import { createActor, forwardTo, setup } from 'xstate'
import type { Delivery, Settlement } from '../../machines/driver.ts'
import type { ArrivedEvent } from '../../machines/event.ts'
import type { JobsCommand, JobsSettled, Result } from '../../machines/protocol.ts'
import { handler } from '../../src/config/handlers.ts'
import type { HandlerDefinition } from '../../src/define.ts'
import { createJobs, type JobsView } from '../../src/jobs/jobs.ts'
import { createLog } from '../../src/log.ts'
import type { Replica } from '../journal/journals.ts'
import { until } from '../support/until.ts'

/**
 * The jobs actor under a parent that collects what it reports, on a real journal: the test is the source, and hands it
 * one delivery after the other.
 */
interface TestedJobs {
  readonly view: JobsView
  /** Delivers an event as a broker does, without a row; gives its receipt. */
  deliver(event: ArrivedEvent, over?: Partial<Delivery>): number
  /** Waits for a due row of a queue of the journal and delivers it, as the table queue does; gives its receipt. */
  claim(queue: string): Promise<number>
  drain(): void
  abort(): void
  /** The settlement of a delivery, as soon as there is one. */
  settled(receipt: number): Promise<Settlement>
  /** Every settlement so far. */
  readonly settlements: readonly Settlement[]
  /** How often each result was observed. */
  readonly observed: Partial<Record<Result, number>>
}

interface TestedOptions {
  readonly concurrency?: number
  readonly lockWaitMs?: number
  /** Default 0: nobody waits for calm. */
  readonly calmMs?: number
}

/** Register it after `useJournals`, so that the jobs end before their journal. */
export const useJobs = (): ((
  replica: Replica,
  handlers: readonly HandlerDefinition[],
  options?: TestedOptions,
) => TestedJobs) => {
  const stops: (() => void)[] = []
  afterEach(() => {
    for (const stop of stops.splice(0)) stop()
  })
  return (replica, handlers, { concurrency = 16, lockWaitMs = 10_000, calmMs = 0 } = {}) => {
    const settlements: Settlement[] = []
    const observed: Partial<Record<Result, number>> = {}
    const { logic, view } = createJobs({
      handlers: handlers.map((each) => handler.parse(each)),
      concurrency,
      lockWaitMs,
      calmMs,
      codeVersion: '1.2.3',
      ledger: replica.ledger,
      log: createLog({ level: 'silent', format: 'json', to: { write: () => undefined } }),
      observe: (_source, result) => {
        observed[result] = (observed[result] ?? 0) + 1
      },
    })
    const parent = setup({ types: { events: {} as JobsCommand | JobsSettled }, actors: { jobs: logic } }).createMachine(
      {
        invoke: { src: 'jobs', id: 'jobs' },
        on: {
          'jobs.settled': {
            actions: ({ event }) => {
              for (const batch of event.batches) settlements.push(...batch.settlements)
            },
          },
          'jobs.admit': { actions: forwardTo('jobs') },
          'jobs.drain': { actions: forwardTo('jobs') },
          'jobs.abort': { actions: forwardTo('jobs') },
        },
      },
    )
    const actor = createActor(parent).start()
    stops.push(() => {
      actor.send({ type: 'jobs.abort' })
      actor.stop()
    })
    let receipts = 0
    const admit = (source: string, delivery: Omit<Delivery, 'receipt'>): number => {
      const receipt = ++receipts
      actor.send({ type: 'jobs.admit', source, delivery: { ...delivery, receipt } })
      return receipt
    }
    return {
      view,
      settlements,
      observed,
      deliver: (event, over = {}) => admit(event.via, { event, bytes: 10, redelivered: false, ...over }),
      claim: async (queue) => {
        const claimed = await until(async () => (await replica.intake.claim(queue, 1))[0])
        return admit(queue, claimed)
      },
      drain: () => actor.send({ type: 'jobs.drain' }),
      abort: () => actor.send({ type: 'jobs.abort' }),
      settled: (receipt) => until(() => settlements.find((each) => each.receipt === receipt)),
    }
  }
}

/** A door that a handler waits at until the test opens it. */
interface Gate {
  readonly opened: Promise<void>
  open(): void
}

export const gate = (): Gate => {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}
