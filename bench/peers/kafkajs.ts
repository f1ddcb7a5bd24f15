import { randomUUID } from 'node:crypto'
import { openOwnTopic } from '../support/ownTopic.ts'
import type { OpenSide, Run } from '../workload.ts'
import { countdown } from './counter.ts'
import { loadPeer } from './install.ts'

interface Message {
  readonly value: Buffer | null
}
interface KafkaConsumer {
  connect(): Promise<void>
  subscribe(options: object): Promise<void>
  run(options: {
    readonly autoCommitThreshold: number
    readonly partitionsConsumedConcurrently: number
    eachMessage(payload: { readonly message: Message }): Promise<void>
  }): Promise<void>
  disconnect(): Promise<void>
}
interface KafkaModule {
  readonly Kafka: new (options: object) => { consumer(options: object): KafkaConsumer }
  readonly logLevel: { readonly NOTHING: number }
}

/** As most use it: one handler call a message, commits by itself each thousand. */
export const kafkajs: OpenSide = async (events) => {
  const { Kafka, logLevel } = await loadPeer<KafkaModule>('kafkajs')
  const { brokers, topic, close } = await openOwnTopic(events)
  const kafka = new Kafka({ clientId: 'bench', brokers, logLevel: logLevel.NOTHING })
  const prepare = async (): Promise<Run> => {
    const consumer = kafka.consumer({ groupId: `bench-${randomUUID()}` })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    const { one, reached } = countdown(events)
    return {
      go: async () => {
        const eachMessage = async ({ message }: { message: Message }): Promise<void> => {
          JSON.parse(String(message.value))
          one()
        }
        await consumer.run({ autoCommitThreshold: 1_000, partitionsConsumedConcurrently: 4, eachMessage })
        return reached
      },
      end: () => consumer.disconnect(),
    }
  }
  return { prepare, close }
}
