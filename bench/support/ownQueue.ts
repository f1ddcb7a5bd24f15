import { randomUUID } from 'node:crypto'
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib'
import { addressOf } from './servers.ts'

export type QueueType = 'classic' | 'quorum'

type Wrap = (data: object) => object

/** A queue of one's own, and messages for it. */
interface OwnQueue {
  readonly model: ChannelModel
  readonly queue: string
  /** `wrap`: what stands in each message, from its data. */
  fill(events: number, wrap?: Wrap): Promise<void>
  close(): Promise<void>
}

export const openOwnQueue = async (type: QueueType, queue = `bench-${randomUUID()}`): Promise<OwnQueue> => {
  const model = await connect(addressOf('rabbitmq'))
  const channel = await model.createConfirmChannel()
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } })
  return {
    model,
    queue,
    fill: (events, wrap = (data) => data) => send(channel, queue, events, wrap),
    close: async () => {
      await channel.deleteQueue(queue)
      await model.close()
    },
  }
}

const send = async (channel: ConfirmChannel, queue: string, events: number, wrap: Wrap): Promise<void> => {
  for (let no = 1; no <= events; no++) {
    const content = Buffer.from(JSON.stringify(wrap({ no })))
    channel.sendToQueue(queue, content, { type: 'bench.event', messageId: randomUUID(), persistent: true })
    if (no % 1_000 === 0) await channel.waitForConfirms()
  }
  await channel.waitForConfirms()
}
