import type { ChannelModel } from 'amqplib'
import { createRabbitmqDriver } from '../../actors/rabbitmq.ts'
import type { Driver } from '../../machines/driver.ts'
import { nestjsOn } from '../peers/nestjs.ts'
import { openArrivals } from '../support/arrivals.ts'
import { atHalfLoad, closing } from '../support/halfLoad.ts'
import { unusedJournal } from '../support/journal.ts'
import { openOwnQueue, type QueueType } from '../support/ownQueue.ts'
import { addressOf } from '../support/servers.ts'
import { credit, handlerOf, walk } from '../support/walk.ts'
import type { OpenSide, Run, Workload } from '../workload.ts'

const ackEach = 50

const driverOf = (queue: string): Driver =>
  createRabbitmqDriver({
    url: addressOf('rabbitmq'),
    queue,
    deadLetter: false,
    heartbeatSeconds: 10,
    connectTimeoutMs: 10_000,
    maxEventBytes: 1_048_576,
  })

const controllerOf =
  (type: QueueType): OpenSide =>
  async (events) => {
    const { queue, fill, close } = await openOwnQueue(type)
    const { ledger } = unusedJournal()
    const handlers = [handlerOf(async () => undefined)]
    const driver = driverOf(queue)
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
  events: 200_000,
  servers: ['rabbitmq'],
  goals: [{ share: 0.8 }, { share: 0.9 }, { cpuShare: 2 }],
  sides: { controller: controllerOf(type), bare: bareOf(type) },
  peers: { nestjs: nestjsOn(type) },
})

export const rabbitmqClassic = workloadOf('rabbitmqClassic', 'classic')
export const rabbitmqQuorum = workloadOf('rabbitmqQuorum', 'quorum')

export const rabbitmqHalf: Workload = {
  name: 'rabbitmqHalf',
  about: 'a quorum queue at half load: from the moment a message is sent to its acknowledgement',
  events: 20_000,
  servers: ['rabbitmq'],
  goals: [],
  sides: {
    controller: atHalfLoad(async () => {
      const own = await openOwnQueue('quorum')
      const arrivals = await openArrivals('rabbitmq', own.queue)
      return {
        ledger: unusedJournal().ledger,
        driver: () => driverOf(own.queue),
        send: arrivals.send,
        close: closing(own, arrivals),
      }
    }),
  },
}
