import { randomUUID } from 'node:crypto'
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib'
import { createRabbitmqDriver } from '../../actors/rabbitmq.ts'
import { unusedJournal } from '../support/journal.ts'
import { addressOf } from '../support/servers.ts'
import { credit, handlerOf, walk } from '../support/walk.ts'
import type { OpenSide, Run, Workload } from '../workload.ts'

type QueueType = 'classic' | 'quorum'

const ackEach = 50

/** A queue of one's own, and messages for it. */
interface OwnQueue {
  readonly model: ChannelModel
  readonly queue: string
  fill(events: number): Promise<void>
  close(): Promise<void>
}

export const openOwnQueue = async (type: QueueType): Promise<OwnQueue> => {
  const model = await connect(addressOf('rabbitmq'))
  const queue = `bench-${randomUUID()}`
  const channel = await model.createConfirmChannel()
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } })
  return {
    model,
    queue,
    fill: (events) => send(channel, queue, events),
    close: async () => {
      await channel.deleteQueue(queue)
      await model.close()
    },
  }
}

const send = async (channel: ConfirmChannel, queue: string, events: number): Promise<void> => {
  for (let no = 1; no <= events; no++) {
    const content = Buffer.from(JSON.stringify({ no }))
    channel.sendToQueue(queue, content, { type: 'bench.event', messageId: randomUUID(), persistent: true })
    if (no % 1_000 === 0) await channel.waitForConfirms()
  }
  await channel.waitForConfirms()
}

const controllerOf =
  (type: QueueType): OpenSide =>
  async (events) => {
    const { queue, fill, close } = await openOwnQueue(type)
    const { ledger } = unusedJournal()
    const handlers = [handlerOf(async () => undefined)]
    const driver = createRabbitmqDriver({
      url: addressOf('rabbitmq'),
      queue,
      deadLetter: false,
      heartbeatSeconds: 10,
      connectTimeoutMs: 10_000,
      maxEventBytes: 1_048_576,
    })
    return {
      prepare: async () => {
        await fill(events)
        return walk({ driver, handlers, ledger, events })
      },
      close,
    }
  }

const bareOf =
  (type: QueueType): OpenSide =>
  async (events) => {
    const { model, queue, fill, close } = await openOwnQueue(type)
    return {
      prepare: async () => {
        await fill(events)
        return bareConsumer(model, queue, events)
      },
      close,
    }
  }

const bareConsumer = async (model: ChannelModel, queue: string, events: number): Promise<Run> => {
  const channel = await model.createChannel()
  await channel.prefetch(credit.events)
  return {
    go: () =>
      new Promise((resolve, reject) => {
        let seen = 0
        const consuming = channel.consume(queue, (message) => {
          if (message === null) return
          JSON.parse(message.content.toString())
          seen++
          if (seen % ackEach === 0 || seen === events) channel.ack(message, true)
          if (seen === events) resolve(undefined)
        })
        consuming.catch(reject)
      }),
    end: () => channel.close(),
  }
}

const workloadOf = (name: string, type: QueueType): Workload => ({
  name,
  about: `messages of a ${type} queue, against a bare amqplib consumer that parses each and acknowledges fifty together`,
  events: 50_000,
  servers: ['rabbitmq'],
  goals: [{ ofBare: 0.8 }, { ofBare: 0.9 }, { cpuOfBare: 2 }],
  sides: { controller: controllerOf(type), bare: bareOf(type) },
})

export const rabbitmqClassic = workloadOf('rabbitmqClassic', 'classic')
export const rabbitmqQuorum = workloadOf('rabbitmqQuorum', 'quorum')
