import { createTableQueueDriver } from '../../actors/tableQueue.ts'
import { journalQueue } from '../../machines/journal.ts'
import { type BenchJournal, openBenchJournal } from '../support/journal.ts'
import { openWorld, type Program } from '../support/program.ts'
import { credit, handlerOf, walk } from '../support/walk.ts'
import type { Measured, OpenSide, Workload } from '../workload.ts'
import { fill, pollMs, queue } from './tableQueue.ts'

/** The table queue in situations: with a backlog, with failures, with replicas. */

const refillBy = 500

/** So many rows wait all the time: what was handled is enqueued anew, in the measured time. */
const withBacklog =
  (rows: number): OpenSide =>
  async (events) => {
    const { journal, schema, client, close } = await openBenchJournal()
    await fill(client, schema, rows)
    const handlers = [handlerOf(async () => undefined)]
    let missing = 0
    let refilling: Promise<void> | undefined
    const refill = async (): Promise<void> => {
      while (missing >= refillBy) {
        missing -= refillBy
        await client.query(
          `select ${schema}.enqueue($1, 'bench.event', json_build_object('no', no)) from generate_series(1, $2) no`,
          [queue, refillBy],
        )
      }
      refilling = undefined
    }
    return {
      prepare: async () =>
        walk({
          driver: createTableQueueDriver({ queue, pollMs }, journal.intake),
          handlers,
          ledger: journal.ledger,
          events,
          credit: { ...credit, events: 200 },
          settled: (count) => {
            missing += count
            if (missing >= refillBy) refilling ??= refill()
          },
          end: async () => refilling,
        }),
      close,
    }
  }

export const backlog: Workload = {
  name: 'backlog',
  about: 'a table queue in which 1,000,000 rows wait, against 1,000: what is handled is enqueued anew',
  events: 20_000,
  servers: ['postgres'],
  goals: [{ share: 0.9 }],
  sides: { '1,000,000 wait': withBacklog(1_000_000), '1,000 wait': withBacklog(1_000) },
}

/** Each `failing`th event fails once, and is tried again by way of the journal. */
const withFailures =
  (failing: number): OpenSide =>
  async (events) => {
    const { journal, schema, client, close }: BenchJournal = await openBenchJournal()
    const fails = (data: unknown): boolean => (data as { readonly no: number }).no % failing === 0
    const handler = handlerOf(
      async ({ data }, { attempt }) => {
        if (attempt === 1 && fails(data)) throw new Error('It fails once.')
      },
      { retry: { attempts: 5, inPlace: 0, backoffMs: 50, maxBackoffMs: 50 } },
    )
    const { intake, ledger } = journal
    return {
      prepare: async () => {
        await fill(client, schema, events)
        return walk({
          driver: createTableQueueDriver({ queue, pollMs }, intake),
          retries: createTableQueueDriver({ queue: journalQueue, pollMs }, intake),
          handlers: [handler],
          ledger,
          events,
          failures: Math.floor(events / failing),
        })
      },
      close,
    }
  }

export const retryStorm: Workload = {
  name: 'retryStorm',
  about: 'a table queue of which one event in five fails and is tried again later, against none',
  events: 20_000,
  servers: ['postgres'],
  goals: [],
  sides: { 'one in five fails': withFailures(5), 'none fails': withFailures(Number.POSITIVE_INFINITY) },
}

/** Real programs; all events are enqueued in one transaction, and the time runs from its commit. */
const replicasOf =
  (count: number): OpenSide =>
  async (events) => {
    const world = await openWorld()
    return {
      prepare: async () => {
        const programs: Program[] = []
        const queueOnly = { KAFKA_BROKERS: undefined, AMQP_URL: undefined }
        for (let started = 0; started < count; started++) programs.push(await world.start(queueOnly))
        const usage = async (): Promise<{ cpuMicros: number; megabytes: number }> => {
          const each = await Promise.all(programs.map((program) => program.usage()))
          const sum = (of: (one: (typeof each)[number]) => number): number =>
            each.reduce((all, one) => all + of(one), 0)
          return { cpuMicros: sum(({ cpuMicros }) => cpuMicros), megabytes: sum(({ megabytes }) => megabytes) }
        }
        const go = async (): Promise<Partial<Measured>> => {
          const before = await usage()
          await world.enqueue(events, 'bench.event')
          const startedAt = performance.now()
          await world.empty()
          const seconds = (performance.now() - startedAt) / 1_000
          const after = await usage()
          return {
            perSecond: events / seconds,
            cpuMicrosPerEvent: (after.cpuMicros - before.cpuMicros) / events,
            peakMegabytes: after.megabytes,
          }
        }
        return { go, end: async () => void (await Promise.all(programs.map((program) => program.drain()))) }
      },
      close: world.close,
    }
  }

export const replicas: Workload = {
  name: 'replicas',
  about: 'two processes on one table queue, against one: the whole program, memory and CPU of all of them together',
  events: 50_000,
  servers: ['postgres'],
  goals: [],
  sides: { 'two replicas': replicasOf(2), 'one replica': replicasOf(1) },
}
