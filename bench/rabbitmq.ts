import { randomUUID } from 'node:crypto'
import { type ChannelModel, connect } from 'amqplib'
import { createRabbitmqDriver } from '../actors/rabbitmq.ts'
import { unusedJournal } from './journal.ts'
import { serverFor } from './servers.ts'
import { credit, handlerOf, walk } from './walk.ts'
import type { Run, Workload } from './workload.ts'

const events = 20_000
const ackEach = 50

/** Messages of a quorum queue, against a bare consumer that reads nothing and acknowledges each 50 together. */
export const rabbitmq: Workload = {
  name: 'rabbitmq',
  events,
  goal: { ofBare: 0.8 },
  open: async () => {
    const server = await serverFor('rabbitmq')
    const model = await connect(server.url)
    const queue = `bench-${randomUUID()}`
    const channel = await model.createConfirmChannel()
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
    const { ledger } = unusedJournal()
    const handler = handlerOf(async () => undefined)
    const driver = createRabbitmqDriver({
      url: server.url,
      queue,
      deadLetter: false,
      heartbeatSeconds: 10,
      connectTimeoutMs: 10_000,
      maxEventBytes: 1_048_576,
    })

    const fill = async (): Promise<void> => {
      for (let no = 1; no <= events; no++) {
        const content = Buffer.from(JSON.stringify({ no }))
        channel.sendToQueue(queue, content, { type: 'bench.event', messageId: randomUUID(), persistent: true })
        if (no % 1_000 === 0) await channel.waitForConfirms()
      }
      await channel.waitForConfirms()
    }

    return {
      controller: async () => {
        await fill()
        return walk({ driver, handler, ledger, events })
      },
      bare: async () => {
        await fill()
        return bareConsumer(model, queue)
      },
      close: async () => {
        await channel.deleteQueue(queue)
        await model.close()
        await server.stop()
      },
    }
  },
}

const bareConsumer = async (model: ChannelModel, queue: string): Promise<Run> => {
  const channel = await model.createChannel()
  await channel.prefetch(credit.events)
  return {
    go: () =>
      new Promise((resolve, reject) => {
        let seen = 0
        const consuming = channel.consume(queue, (message) => {
          if (message === null) return
          seen++
          if (seen % ackEach === 0) channel.ack(message, true)
          if (seen === events) resolve()
        })
        consuming.catch(reject)
      }),
    end: () => channel.close(),
  }
}
