import { randomBytes } from 'node:crypto'
import { connect } from 'amqplib'
import { createRabbitmqPublisher } from '../../actors/rabbitmq/publisher.ts'
import { createRabbitmqDriver, type RabbitmqOptions } from '../../actors/rabbitmq.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { conformance, type Service } from './conformance.ts'

/** A queue of its own for each test, behind a proxy. */
const openQueue = async (amqpUrl: string, type: 'classic' | 'quorum'): Promise<Service> => {
  const queue = `t-${randomBytes(5).toString('hex')}`
  const admin = await connect(amqpUrl)
  const channel = await admin.createChannel()
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } })
  const publisher = createRabbitmqPublisher(amqpUrl)
  const proxy = await tcpProxy({ port: Number(new URL(amqpUrl).port) })
  const options: RabbitmqOptions = {
    url: Object.assign(new URL(amqpUrl), { port: String(proxy.port) }).href,
    queue,
    deadLetter: false,
    heartbeatSeconds: 5,
    connectTimeoutMs: 5_000,
    maxEventBytes: 1_000,
  }
  return {
    source: queue,
    driver: createRabbitmqDriver(options),
    stranded: createRabbitmqDriver({ ...options, url: 'amqp://127.0.0.1:1' }),
    async publish(...numbers) {
      for (const no of numbers) await publisher.publish('', queue, JSON.stringify({ no }), { messageId: String(no) })
    },
    remaining: async () => (await channel.checkQueue(queue)).messageCount,
    connections: proxy.connections,
    cut() {
      proxy.refuse()
      proxy.reset()
    },
    heal: proxy.heal,
    async close() {
      await channel.deleteQueue(queue)
      await Promise.all([admin.close(), publisher.close(), proxy.close()])
    },
  }
}

/** The driver contract on a broker whose address is known when the tests run. */
export const rabbitmqConformance = (name: string, amqpUrl: () => string): void => {
  const features = { remembers: 'each', bringsReleased: true, cut: 'lost' } as const
  conformance(`${name}, classic queue`, features, () => openQueue(amqpUrl(), 'classic'))
  conformance(`${name}, quorum queue`, features, () => openQueue(amqpUrl(), 'quorum'))
}
