import { randomBytes } from 'node:crypto'
import { Admin } from '@platformatic/kafka'
import { afterAll } from 'vitest'
import type { KafkaSecurity } from '../../actors/kafka/options.ts'
import { createKafkaPublisher, type KafkaMessage } from '../../actors/kafka/publisher.ts'
import { createKafkaDriver, type KafkaOptions } from '../../actors/kafka.ts'
import type { Delivery, DriverHost, Link, Outcome } from '../../machines/driver.ts'
import type { ControllerError } from '../../machines/errors.ts'

/** The harness, closed after the file. */
export const kafkaHarness = (brokers: string): KafkaHarness => {
  const harness = createHarness(brokers)
  afterAll(harness.close)
  return harness
}

type KafkaHarness = ReturnType<typeof createHarness>

/** Topics, records and members against one broker. */
export const createHarness = (brokers: string, security: KafkaSecurity = {}) => {
  const admin = new Admin({ clientId: 'tests', bootstrapBrokers: [brokers], retries: 5, retryDelay: 200, ...security })
  const publisher = createKafkaPublisher([brokers], security)
  const members: Member[] = []
  const close = async (): Promise<void> => {
    await Promise.all(members.splice(0).map((member) => member.stop()))
    await publisher.close()
    await admin.close()
  }

  const createTopic = async (partitions = 1): Promise<string> => {
    const topic = `t-${randomBytes(5).toString('hex')}`
    await admin.createTopics({ topics: [topic], partitions, replicas: 1 })
    return topic
  }

  const publish = (topic: string, messages: readonly KafkaMessage[]) => publisher.publish(topic, messages)

  /** Next offsets that a group starts from, by partition. */
  const committed = async (groupId: string, topic: string): Promise<Record<number, number>> => {
    const [group] = await admin.listConsumerGroupOffsets({ groups: [groupId] })
    const partitions = group?.topics.find(({ name }) => name === topic)?.partitions ?? []
    return Object.fromEntries(partitions.map((each) => [each.partitionIndex, Number(each.committedOffset)]))
  }

  const start = async (options: Partial<KafkaOptions> & Pick<KafkaOptions, 'topics'>, behaviour: Behaviour = {}) => {
    const member = await startMember(
      { ...kafkaDefaults, ...security, groupId: newGroup(), brokers: [brokers], ...options },
      behaviour,
    )
    members.push(member)
    return member
  }

  return { admin, createTopic, publish, committed, start, close }
}

export const newGroup = (): string => `g-${randomBytes(5).toString('hex')}`

export const kafkaDefaults = {
  from: 'earliest',
  sessionTimeoutMs: 6_000,
  commitIntervalMs: 50,
  clientId: 'tests',
  maxBytesPerPartition: 262_144,
  maxEventBytes: 1_048_576,
  connectTimeoutMs: 10_000,
} as const

interface Behaviour {
  readonly credit?: number
  /** What becomes of a batch as it arrives; default: nothing, the test settles. `'ack'` acknowledges at once. */
  readonly onBatch?: 'ack' | ((batch: readonly Delivery[], member: Member) => void)
}

/** One link, and what it told its host. */
export interface Member {
  readonly groupId: string
  readonly link: Link
  readonly delivered: Delivery[]
  /** Positions delivered (`topic/partition/offset`), with repeats. */
  positions(): string[]
  readonly unsettled: Map<number, Delivery>
  readonly lost: ControllerError[]
  readonly warnings: { message: string; fields: Record<string, unknown> }[]
  readonly gauges: Map<string, number>
  /** One entry a generation it was in: the partitions of each topic that were its own. */
  readonly assignments: number[][]
  /** Most deliveries unsettled at one time. */
  peak(): number
  settle(deliveries: readonly Delivery[], outcome?: Outcome): void
  settleAll(outcome?: Outcome): void
  stop(): Promise<void>
}

const startMember = async (options: KafkaOptions, { credit = 100, onBatch }: Behaviour): Promise<Member> => {
  const delivered: Delivery[] = []
  const unsettled = new Map<number, Delivery>()
  const lost: ControllerError[] = []
  const warnings: Member['warnings'] = []
  const gauges = new Map<string, number>()
  const assignments: number[][] = []
  let peak = 0
  let link: Link | undefined
  const host: DriverHost = {
    source: 'orders',
    credit: { events: credit, bytes: 1_000_000 },
    log: {
      debug: (fields, message) => {
        if (message === 'kafka assignment') assignments.push(partitionsOf(fields))
      },
      info() {},
      warn: (fields, message) => warnings.push({ message, fields: { ...fields } }),
      error: (fields, message) => warnings.push({ message, fields: { ...fields } }),
    },
    deliver(batch) {
      for (const delivery of batch) {
        delivered.push(delivery)
        unsettled.set(delivery.receipt, delivery)
      }
      peak = Math.max(peak, unsettled.size)
      if (onBatch === 'ack') member.settle(batch)
      else onBatch?.(batch, member)
    },
    lost: (error) => lost.push(error),
    gauge: (name, value, labels) => gauges.set([name, ...Object.values(labels ?? {})].join(' '), value),
    count: () => {},
  }
  const connected = await createKafkaDriver(options).connect(host)
  link = connected
  const member: Member = {
    groupId: options.groupId,
    link: connected,
    delivered,
    positions: () => delivered.map(positionOf),
    unsettled,
    lost,
    warnings,
    gauges,
    assignments,
    peak: () => peak,
    settle(deliveries, outcome = 'ack') {
      for (const { receipt } of deliveries) unsettled.delete(receipt)
      link?.settle(deliveries.map(({ receipt }) => ({ receipt, outcome })))
    },
    settleAll: (outcome) => member.settle([...unsettled.values()], outcome),
    stop: () => connected.disconnect(),
  }
  return member
}

const partitionsOf = (fields: object): number[] =>
  (fields as { assignments: { partitions: number[] }[] }).assignments.flatMap(({ partitions }) => partitions)

export const positionOf = ({ order }: Delivery): string => `${order?.stream}/${order?.position}`

export const numbered = (from: number, to: number): KafkaMessage[] =>
  Array.from({ length: to - from }, (_, index) => ({ value: JSON.stringify({ no: from + index }) }))
