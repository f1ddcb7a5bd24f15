import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, inject } from 'vitest'
import { createKafkaDriver } from '../../actors/kafka.ts'
import { conformance, type Service } from './conformance.ts'
import { createHarness, kafkaDefaults, newGroup } from './kafka.harness.ts'

const brokers = inject('kafkaBrokers')

/** Brokers name their own address to clients, so no line can be put in between: sockets are seen where they are opened. */
const sockets = new Set<Socket>()
const onSocket = (message: unknown): void => {
  const { socket } = message as { socket: Socket }
  sockets.add(socket.once('close', () => void sockets.delete(socket)))
}
beforeAll(() => subscribe('net.client.socket', onSocket))
afterAll(() => void unsubscribe('net.client.socket', onSocket))

/** A topic of one partition, and a group that has everything committed there is. */
const openTopic = async (): Promise<Service> => {
  const { createTopic, publish, committed, close } = createHarness(brokers)
  const topic = await createTopic()
  const options = { ...kafkaDefaults, brokers: [brokers], topics: [topic], groupId: newGroup() }
  let published = 0
  // Whatever the harness opens is open from here on.
  await publish(topic, [])
  const remaining = async () => published - Math.max(0, (await committed(options.groupId, topic))[0] ?? 0)
  await remaining()
  const others = new Set(sockets)
  return {
    source: topic,
    driver: createKafkaDriver(options),
    stranded: createKafkaDriver({ ...options, brokers: ['127.0.0.1:1'] }),
    async publish(...numbers) {
      published += numbers.length
      await publish(
        topic,
        numbers.map((no) => ({ value: JSON.stringify({ no }) })),
      )
    },
    remaining,
    connections: () => [...sockets].filter((socket) => !others.has(socket)).length,
    cut: () => sockets.forEach((socket) => void (others.has(socket) || socket.resetAndDestroy())),
    heal() {},
    close,
  }
}

conformance('kafka', { remembers: 'prefix', bringsReleased: true, cut: 'healed' }, openTopic)
