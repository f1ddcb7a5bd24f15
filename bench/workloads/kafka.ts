import { randomUUID } from 'node:crypto'
import { Consumer } from '@platformatic/kafka'
import { createKafkaDriver } from '../../actors/kafka.ts'
import type { Driver } from '../../machines/driver.ts'
import { kafkajs } from '../peers/kafkajs.ts'
import { openArrivals } from '../support/arrivals.ts'
import { atHalfLoad, closing } from '../support/halfLoad.ts'
import { openBenchJournal } from '../support/journal.ts'
import { stopwatch } from '../support/measure.ts'
import { openOwnTopic } from '../support/ownTopic.ts'
import { addressOf } from '../support/servers.ts'
import { credit, handlerOf, walk } from '../support/walk.ts'
import type { Measured, OpenSide, Run, Workload } from '../workload.ts'

const commitEach = 1_000

/** What may have been begun before the group's last commit is recorded in the journal: so many records of a partition. */
const suspicious = 4 * credit.events

/** Measures what comes after the join of the group and after what is suspicious then. */
const afterFirst = (events: number) => {
  const skipped = Math.min(4 * suspicious, Math.floor(events / 2))
  let settled = 0
  let stop: ReturnType<typeof stopwatch> | undefined
  let from = 0
  return {
    seen: (count: number): void => {
      settled += count
      if (stop !== undefined || settled < skipped) return
      stop = stopwatch()
      from = settled
    },
    took: (): Partial<Measured> => stop?.(events - from) ?? {},
  }
}

const driverOf = (topic: string, groupId: string): Driver =>
  createKafkaDriver({
    brokers: [addressOf('kafka')],
    topics: [topic],
    groupId,
    from: 'earliest',
    sessionTimeoutMs: 10_000,
    commitIntervalMs: 200,
    clientId: 'bench',
    maxBytesPerPartition: 262_144,
    maxEventBytes: 1_048_576,
    connectTimeoutMs: 10_000,
  })

const controller: OpenSide = async (events) => {
  const { topic, close } = await openOwnTopic(events)
  // The first records of each partition may have been begun by a process that died: their runs are recorded.
  const { journal, close: closeJournal } = await openBenchJournal()
  const handlers = [handlerOf(async () => undefined)]
  return {
    prepare: async () => {
      const driver = driverOf(topic, `bench-${randomUUID()}`)
      const lap = afterFirst(events)
      const run = walk({ driver, handlers, ledger: journal.ledger, events, settled: lap.seen })
      return { go: () => run.go().then(lap.took), end: run.end }
    },
    close: async () => {
      await Promise.all([close(), closeJournal()])
    },
  }
}

const bare: OpenSide = async (events) => {
  const { brokers, topic, close } = await openOwnTopic(events)
  return { prepare: async () => bareConsumer(brokers, topic, events), close }
}

const bareConsumer = async (brokers: string[], topic: string, events: number): Promise<Run> => {
  const consumer = new Consumer({
    clientId: 'bench',
    groupId: `bench-${randomUUID()}`,
    bootstrapBrokers: brokers,
    autocommit: false,
    maxBytes: 1_048_576,
    maxBytesPerPartition: 1_048_576,
    maxWaitTime: 500,
  })
  const go = async (): Promise<Partial<Measured>> => {
    const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' })
    let seen = 0
    const lap = afterFirst(events)
    const next = new Map<number, bigint>()
    let committing: Promise<void> = Promise.resolve()
    const commit = (): void => {
      const offsets = [...next].map(([partition, offset]) => ({ topic, partition, offset, leaderEpoch: -1 }))
      next.clear()
      committing = committing.then(() => consumer.commit({ offsets }))
    }
    await new Promise<void>((resolve, reject) => {
      stream.on('error', reject)
      stream.on('data', ({ partition, offset, value }) => {
        JSON.parse(value.toString())
        next.set(partition, offset + 1n)
        seen++
        lap.seen(1)
        if (seen % commitEach === 0 || seen === events) commit()
        if (seen === events) resolve()
      })
    })
    await committing
    const took = lap.took()
    await stream.close()
    return took
  }
  return { go, end: () => consumer.close(true) }
}

export const kafka: Workload = {
  name: 'kafka',
  about:
    'records of four partitions, against a bare @platformatic/kafka consumer that parses each and commits each thousand; after the join',
  events: 200_000,
  servers: ['kafka', 'postgres'],
  goals: [{ share: 0.4 }, { share: 0.5 }, { perSecond: 100_000 }],
  sides: { controller, bare },
  peers: { kafkajs },
}

export const kafkaHalf: Workload = {
  name: 'kafkaHalf',
  about:
    'four partitions at half load: from the moment a record is sent to its settlement, its commit not included; after the join',
  events: 50_000,
  servers: ['kafka', 'postgres'],
  goals: [],
  sides: {
    controller: atHalfLoad(async () => {
      const own = await openOwnTopic(0)
      const journal = await openBenchJournal()
      const arrivals = await openArrivals('kafka', own.topic)
      return {
        ledger: journal.journal.ledger,
        first: 4 * suspicious,
        driver: () => driverOf(own.topic, own.topic),
        send: arrivals.send,
        close: closing(own, journal, arrivals),
      }
    }),
  },
}
