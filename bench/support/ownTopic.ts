import { randomUUID } from 'node:crypto'
import { Admin } from '@platformatic/kafka'
import { createKafkaPublisher } from '../../actors/kafka/publisher.ts'
import { addressOf } from './servers.ts'

const partitions = 4
const batchSize = 1_000

interface OwnTopic {
  readonly brokers: string[]
  readonly topic: string
  /** The records stay: each run reads them as a group of its own. */
  close(): Promise<void>
}

export const openOwnTopic = async (events: number, topic = `bench-${randomUUID()}`): Promise<OwnTopic> => {
  const brokers = [addressOf('kafka')]
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers: brokers, retries: 5, retryDelay: 200 })
  await admin.createTopics({ topics: [topic], partitions, replicas: 1 })
  const publisher = createKafkaPublisher(brokers)
  for (let first = 1; first <= events; first += batchSize) {
    const size = Math.min(batchSize, events - first + 1)
    const partition = Math.floor(first / batchSize) % partitions
    await publisher.publish(
      topic,
      Array.from({ length: size }, (_, index) => ({
        partition,
        value: JSON.stringify({ no: first + index, note: 'x'.repeat(100) }),
      })),
    )
  }
  await publisher.close()
  return {
    brokers,
    topic,
    close: async () => {
      await admin.deleteTopics({ topics: [topic] })
      await admin.close()
    },
  }
}
