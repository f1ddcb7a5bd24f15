import type { ConnectionOptions } from 'node:tls'
import type { ConsumerOptions } from '@platformatic/kafka'

/** What the Kafka driver needs to know, every default in place. */
export interface KafkaOptions {
  /** `host:port` of some brokers; the others are found through them. */
  readonly brokers: readonly string[]
  readonly topics: readonly string[]
  /** The consumer group. Replicas of one controller share it and divide the partitions. */
  readonly groupId: string
  /**
   * The type of events that carry none of their own (`ce_type`, or `type` in a structured CloudEvent): a fixed name, the
   * name of a header, or a function of the record. Default: the header `type`. Without the header: the topic.
   */
  readonly type?: string | { readonly header: string } | ((record: KafkaRecordView) => string)
  /** Where a partition begins for which the group has committed nothing. */
  readonly from: 'earliest' | 'latest'
  /** A member that is not heard of for so long is out. The broker has bounds for it: 6 s to 30 min by default. */
  readonly sessionTimeoutMs: number
  /** Between two commits; what is settled and not committed comes again after a crash. 200 is a good value. */
  readonly commitIntervalMs: number
  readonly clientId: string
  readonly sasl?: KafkaSasl
  readonly tls?: ConnectionOptions
  /**
   * Most bytes of one fetch, from one partition or several. More than the credit takes waits in memory and makes the
   * garbage collector work: 256 KiB is a good value. A batch of a producer that is larger comes alone.
   */
  readonly maxBytesPerPartition: number
  /** A larger payload is a defect: the event is parked unread. */
  readonly maxEventBytes: number
  readonly connectTimeoutMs: number
}

/** A record as the `type` option sees it; header values are read as UTF-8. */
export interface KafkaRecordView {
  readonly topic: string
  readonly key?: string
  readonly headers: Readonly<Record<string, string>>
}

export interface KafkaSasl {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'
  readonly username?: string
  readonly password?: string
  /** For OAUTHBEARER. */
  readonly token?: string
}

export type KafkaSecurity = Pick<KafkaOptions, 'sasl' | 'tls'>

/** Bytes in and bytes out: a deserializer that throws would end the whole stream. */
export type KafkaConsumerOptions = ConsumerOptions<Buffer, Buffer, Buffer, Buffer>

/**
 * How the library is set up. Its own defaults commit by themselves, skip what was there before, and ask for 50 MB at a
 * time. The classic protocol with eager round-robin is the only one whose rebalances we can follow; see `link.ts`.
 */
export const consumerOptions = (options: KafkaOptions): KafkaConsumerOptions => ({
  ...clientOptions(options.brokers, options.clientId, options),
  connectTimeout: options.connectTimeoutMs,
  groupId: options.groupId,
  autocommit: false,
  sessionTimeout: options.sessionTimeoutMs,
  rebalanceTimeout: rebalanceTimeoutMs(options),
  heartbeatInterval: Math.min(3_000, Math.floor(options.sessionTimeoutMs / 10)),
  heartbeatStallTimeout: Math.floor(options.sessionTimeoutMs * 0.8),
  maxBytes: options.maxBytesPerPartition,
  maxBytesPerPartition: options.maxBytesPerPartition,
  maxWaitTime: 500,
})

export const rebalanceTimeoutMs = (options: Pick<KafkaOptions, 'sessionTimeoutMs'>): number =>
  Math.floor(options.sessionTimeoutMs * 1.5)

interface ClientOptions extends KafkaSecurity {
  readonly clientId: string
  readonly bootstrapBrokers: string[]
  readonly strict: boolean
  readonly retries: number
  readonly retryDelay: number
}

/** What consumers and producers have in common. `strict` refuses a wrong argument at once instead of after 3 s. */
export const clientOptions = (
  brokers: readonly string[],
  clientId: string,
  { sasl, tls }: KafkaSecurity,
): ClientOptions => ({
  clientId,
  bootstrapBrokers: [...brokers],
  strict: true,
  retries: 5,
  retryDelay: 500,
  ...(sasl === undefined ? {} : { sasl }),
  ...(tls === undefined ? {} : { tls }),
})
