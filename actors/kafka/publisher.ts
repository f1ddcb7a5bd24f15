import { Producer } from '@platformatic/kafka'
import { clientOptions, type KafkaSecurity } from './options.ts'

export interface KafkaMessage {
  /** Messages with the same key go to the same partition, and stay in order. */
  readonly key?: string
  /** `null` is a tombstone. */
  readonly value: string | Uint8Array | null
  readonly headers?: Readonly<Record<string, string>>
  /** Default: by the key, and without one in turn. */
  readonly partition?: number
}

export interface KafkaPublisher {
  /** Resolves when all in-sync replicas have the messages. */
  publish(topic: string, messages: readonly KafkaMessage[]): Promise<void>
  close(): Promise<void>
}

/** Sends records to the topics that a source listens to: for `koksmat-controller send`, and for tests. */
export const createKafkaPublisher = (brokers: readonly string[], security: KafkaSecurity = {}): KafkaPublisher => {
  const producer = new Producer<Buffer, Buffer, Buffer, Buffer>({
    ...clientOptions(brokers, 'koksmat-controller-send', security),
    acks: -1,
    // Otherwise a retry of the library, as on a topic just created, sends records twice.
    idempotent: true,
    // Strict validation knows no tombstones.
    strict: false,
  })
  return {
    async publish(topic, messages) {
      await producer.send({
        messages: messages.map(({ key, value, headers, partition }) => ({
          topic,
          ...(partition === undefined ? {} : { partition }),
          ...(key === undefined ? {} : { key: Buffer.from(key) }),
          ...(value === null ? {} : { value: Buffer.from(value) }),
          ...(headers === undefined ? {} : { headers: headersOf(headers) }),
        })),
      })
    },
    async close() {
      await producer.close()
    },
  }
}

const headersOf = (headers: Readonly<Record<string, string>>): Map<Buffer, Buffer> =>
  new Map(Object.entries(headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)]))
