import { randomBytes } from 'node:crypto'
import { type Channel, connect } from 'amqplib'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import { createRabbitmqPublisher } from '../../actors/rabbitmq/publisher.ts'
import { createRabbitmqDriver, type RabbitmqOptions } from '../../actors/rabbitmq.ts'
import type { Delivery, Link, Outcome } from '../../machines/driver.ts'
import type { ControllerError } from '../../machines/errors.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { until } from '../support/until.ts'

/** The RabbitMQ driver against a real broker, with a line in between that can be cut. */
const amqpUrl = inject('amqpUrl')
const publisher = createRabbitmqPublisher(amqpUrl)
let admin: Awaited<ReturnType<typeof connect>>
let channel: Channel
let proxy: Awaited<ReturnType<typeof tcpProxy>>
const opened: Link[] = []
const queues: string[] = []

beforeAll(async () => {
  admin = await connect(amqpUrl)
  channel = await admin.createChannel()
  proxy = await tcpProxy({ port: Number(new URL(amqpUrl).port) })
})

afterEach(async () => {
  proxy.heal()
  await Promise.all(opened.splice(0).map((link) => link.disconnect()))
})

afterAll(async () => {
  for (const queue of queues) await channel.deleteQueue(queue)
  await admin.close()
  await publisher.close()
  await proxy.close()
})

const newName = (): string => `t-${randomBytes(5).toString('hex')}`

const newQueue = async (type: 'classic' | 'quorum' = 'classic'): Promise<string> => {
  const queue = newName()
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } })
  queues.push(queue)
  return queue
}

const publish = async (queue: string, count: number, from = 0): Promise<void> => {
  for (let no = from; no < from + count; no++) {
    await publisher.publish('', queue, JSON.stringify({ no }), { messageId: String(no), type: 'order.placed' })
  }
}

const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length

/** Messages that nobody has in hand. */
const waiting = async (queue: string): Promise<number> => (await channel.checkQueue(queue)).messageCount

const start = async (queue: string, credit = 10, options: Partial<RabbitmqOptions> = {}) => {
  const delivered: Delivery[] = []
  const lost: ControllerError[] = []
  const batches: { size: number; turn: number }[] = []
  let turn = 0
  const url = new URL(amqpUrl)
  url.port = String(proxy.port)
  const driver = createRabbitmqDriver({
    url: url.href,
    queue,
    deadLetter: false,
    heartbeatSeconds: 1,
    connectTimeoutMs: 5_000,
    maxEventBytes: 1_000,
    ...options,
  })
  let unsettled = 0
  let peak = 0
  const open = async (): Promise<Link> => {
    const link = await driver.connect({
      source: 'orders',
      credit: { events: credit, bytes: 1_000_000 },
      log: { debug() {}, info() {}, warn() {}, error() {} },
      deliver(batch) {
        delivered.push(...batch)
        batches.push({ size: batch.length, turn })
        setImmediate(() => turn++)
        unsettled += batch.length
        peak = Math.max(peak, unsettled)
      },
      lost: (error) => lost.push(error),
      gauge() {},
      count() {},
    })
    opened.push(link)
    return link
  }
  const link = await open()
  const settle = (deliveries: readonly Delivery[], outcome: Outcome = 'ack', by = link): void => {
    unsettled -= deliveries.length
    by.settle(deliveries.map(({ receipt }) => ({ receipt, outcome })))
  }
  return { link, open, delivered, batches, lost, settle, peak: () => peak }
}

const idsOf = (deliveries: readonly Delivery[]): string[] => deliveries.map(({ event }) => event.id)

test('nothing is delivered before consume, and then everything, once, in order', async () => {
  const queue = await newQueue('quorum')
  await publish(queue, 5)
  const { link, delivered } = await start(queue)
  await publish(queue, 1, 5)
  expect([delivered.length, await waiting(queue)]).toEqual([0, 6])
  await link.consume()
  await until(() => delivered.length === 6)
  expect(idsOf(delivered)).toEqual(['0', '1', '2', '3', '4', '5'])
  expect(delivered[0]).toMatchObject({
    redelivered: false,
    bytes: 8,
    event: { type: 'order.placed', data: { no: 0 }, identified: true, via: 'orders', kind: 'queue.event' },
  })
})

test('a whole window comes in small batches, with a turn of the event loop after each, in which acks go out', async () => {
  const queue = await newQueue()
  await publish(queue, 1_000)
  const { link, delivered, batches } = await start(queue, 1_000)
  await link.consume()
  await until(() => delivered.length === 1_000)
  expect(idsOf(delivered)).toEqual(Array.from({ length: 1_000 }, (_, no) => String(no)))
  expect(Math.max(...batches.map(({ size }) => size))).toBeLessThanOrEqual(256)
  expect(batches.map(({ turn }) => turn)).toEqual(batches.map((_, index) => index))
})

test('never more than the credit is unsettled, also when a pause ends while all of it is in hand', async () => {
  const queue = await newQueue()
  await publish(queue, 30)
  const { link, delivered, settle, peak } = await start(queue, 4)
  await link.consume()
  await until(() => delivered.length === 4)
  link.pause()
  await until(async () => (await channel.checkQueue(queue)).consumerCount === 0)
  link.resume()
  await until(async () => (await channel.checkQueue(queue)).consumerCount === 1)
  for (let done = 0; done < 30; done++) {
    await until(() => delivered.length > done)
    settle(delivered.slice(done, done + 1))
  }
  expect(idsOf(delivered)).toEqual(Array.from({ length: 30 }, (_, no) => String(no)))
  expect(peak()).toBe(4)
})

test('settling out of order acknowledges exactly what was settled', async () => {
  const queue = await newQueue()
  await publish(queue, 10)
  const { link, delivered, settle, lost } = await start(queue)
  await link.consume()
  await until(() => delivered.length === 10)
  const picked = (...numbers: number[]): Delivery[] => delivered.filter((_, no) => numbers.includes(no))
  settle(picked(7, 2))
  settle(picked(0, 1))
  settle(picked(9, 4).reverse())
  settle(picked(4, 2))
  await link.disconnect()
  await until(async () => (await waiting(queue)) === 4)
  const later = await start(queue)
  await later.link.consume()
  await until(() => later.delivered.length === 4)
  expect(idsOf(later.delivered)).toEqual(['3', '5', '6', '8'])
  expect(lost).toEqual([])
})

test('what is released comes again at once, marked as redelivered', async () => {
  const queue = await newQueue('quorum')
  await publish(queue, 3)
  const { link, delivered, settle, lost } = await start(queue)
  await link.consume()
  await until(() => delivered.length === 3)
  settle(delivered.slice(0, 1), 'release')
  settle(delivered.slice(1, 3))
  await until(() => delivered.length === 4)
  expect(delivered[3]).toMatchObject({ redelivered: true, event: { id: '0' } })
  settle(delivered.slice(3))
  await link.disconnect()
  expect([await waiting(queue), lost]).toEqual([0, []])
})

test('a cut is told once, and the next link delivers what was unsettled', async () => {
  const queue = await newQueue()
  await publish(queue, 4)
  const { link, open, delivered, settle, lost } = await start(queue)
  await link.consume()
  await until(() => delivered.length === 4)
  settle(delivered.slice(0, 2))
  await link.cancel()
  proxy.reset()
  await until(() => lost.length > 0)
  await (await open()).consume()
  await until(() => delivered.length === 6)
  await link.disconnect()
  expect(idsOf(delivered.slice(4))).toEqual(['2', '3'])
  expect(lost.map(({ code }) => code)).toEqual(['SOURCE_CONNECTION_LOST'])
})

test('a silent line is noticed by its missing heartbeats, and leaves no socket behind', async () => {
  const queue = await newQueue()
  const { link, lost } = await start(queue)
  await link.consume()
  const before = sockets()
  proxy.blackHole()
  await until(() => lost.length > 0)
  await link.disconnect()
  await until(() => sockets() < before)
  expect(lost.map(({ code }) => code)).toEqual(['SOURCE_CONNECTION_LOST'])
})

test('receipts of an earlier link are ignored', async () => {
  const queue = await newQueue()
  await publish(queue, 2)
  const { link, open, delivered, settle, lost } = await start(queue)
  await link.consume()
  await until(() => delivered.length === 2)
  proxy.reset()
  await until(() => lost.length === 1)
  const next = await open()
  await next.consume()
  await until(() => delivered.length === 4)
  settle(delivered.slice(0, 2), 'ack', next)
  settle(delivered.slice(0, 2), 'ack', link)
  await next.disconnect()
  await until(async () => (await waiting(queue)) === 2)
  expect(lost).toHaveLength(1)
})

test('after cancel nothing is delivered, and acks still count', async () => {
  const queue = await newQueue()
  await publish(queue, 2)
  const { link, delivered, settle } = await start(queue)
  await link.consume()
  await until(() => delivered.length === 2)
  await link.cancel()
  await publish(queue, 1, 2)
  settle(delivered)
  link.resume()
  await link.disconnect()
  expect([delivered.length, await waiting(queue)]).toEqual([2, 1])
})

test('pauses with all credit in hand pile nothing up, and cancel gives back what was never delivered', async () => {
  const queue = await newQueue()
  await publish(queue, 10)
  const { link, delivered, settle } = await start(queue, 4)
  await link.consume()
  await until(() => delivered.length === 4)
  link.pause()
  await until(async () => (await channel.checkQueue(queue)).consumerCount === 0)
  link.resume()
  await until(async () => (await waiting(queue)) === 2)
  link.pause()
  await until(async () => (await channel.checkQueue(queue)).consumerCount === 0)
  link.resume()
  settle(delivered.slice(0, 1))
  await until(() => delivered.length === 5)
  expect(await waiting(queue)).toBe(2)
  await link.cancel()
  await until(async () => (await waiting(queue)) === 5)
  expect(delivered).toHaveLength(5)
})

test('disconnect leaves nothing open, also twice, without cancel, and before consume', async () => {
  const queue = await newQueue()
  await publish(queue, 3)
  const first = await start(queue)
  await first.link.consume()
  await until(() => first.delivered.length === 3)
  const second = await start(queue)
  await Promise.all([first.link.disconnect(), first.link.disconnect(), second.link.disconnect()])
  await first.link.disconnect()
  await until(() => proxy.connections() === 0)
  await until(async () => (await waiting(queue)) === 3)
  expect([first.lost, second.lost]).toEqual([[], []])
})

test('a missing queue is not made up, unless it is to be declared', async () => {
  const queue = newName()
  await expect(start(queue)).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
  const exchange = { name: newName(), type: 'topic', durable: false } as const
  const declare = { type: 'quorum', durable: true, exchange, bindings: ['order.*'] } as const
  const { link, delivered } = await start(queue, 10, { declare })
  queues.push(queue)
  await publisher.publish(exchange.name, 'order.placed', '{}')
  await expect(publisher.publish(exchange.name, 'other', '{}')).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
  const asDeclared = { 'x-queue-type': 'quorum', 'x-delivery-limit': 1_000_000 }
  await channel.assertQueue(queue, { durable: true, arguments: asDeclared })
  await link.consume()
  await until(() => delivered.length === 1)
  expect(delivered[0]?.event.type).toBe('order.placed')
  const unlike = start(queue, 10, { declare: { type: 'classic', durable: true } })
  await expect(unlike).rejects.toMatchObject({ code: 'SOURCE_UNUSABLE' })
  await channel.deleteExchange(exchange.name)
  await link.disconnect()
  await until(() => proxy.connections() === 0)
})

test('a queue that is deleted under its consumer is a lost source, told once', async () => {
  const queue = await newQueue()
  const { link, lost } = await start(queue)
  await link.consume()
  await channel.deleteQueue(queue)
  await until(() => lost.length > 0)
  await link.disconnect()
  expect(lost.map(({ code }) => code)).toEqual(['SOURCE_NOT_FOUND'])
})

test('a service that is silent or absent rejects in time', async () => {
  proxy.blackHole()
  await expect(start('any', 10, { connectTimeoutMs: 200 })).rejects.toMatchObject({ code: 'SOURCE_TIMED_OUT' })
  proxy.heal()
  proxy.refuse()
  await expect(start('any')).rejects.toMatchObject({ code: 'SOURCE_CONNECT_FAILED' })
  proxy.heal()
  await until(() => proxy.connections() === 0)
})

test('what cannot be read is a defect that keeps its bytes, and what is rejected may be dead-lettered', async () => {
  const [queue, dead] = [newName(), await newQueue()]
  const exchange = newName()
  await channel.assertExchange(exchange, 'fanout', { durable: false })
  await channel.bindQueue(dead, exchange, '')
  const declare = { type: 'classic', durable: true, deadLetterExchange: exchange } as const
  const { link, delivered, settle } = await start(queue, 10, { declare, deadLetter: true })
  queues.push(queue)
  await publisher.publish('', queue, '{"no":')
  await publisher.publish('', queue, JSON.stringify('x'.repeat(2_000)))
  await link.consume()
  await until(() => delivered.length === 2)
  expect(delivered.map(({ defect }) => defect?.error.code)).toEqual(['EVENT_MALFORMED', 'EVENT_TOO_LARGE'])
  expect(delivered.map(({ defect }) => defect?.raw.length)).toEqual([6, 2_002])
  settle(delivered, 'reject')
  await until(async () => (await waiting(dead)) === 2)
  expect(await waiting(queue)).toBe(0)
  await channel.deleteExchange(exchange)
})

test('CloudEvents in binary mode keep their attributes, and foreign headers become extensions', async () => {
  const queue = await newQueue()
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const headers = {
    'cloudEvents:id': 'a',
    cloudEvents_source: '/shop',
    'cloudEvents:type': 'paid',
    traceparent,
    tenant: 7,
  }
  await publisher.publish('', queue, '{}', { headers, timestamp: 1_700_000_000 })
  const { link, delivered } = await start(queue)
  await link.consume()
  await until(() => delivered.length === 1)
  expect(delivered[0]?.event).toMatchObject({
    id: 'a',
    source: '/shop',
    type: 'paid',
    traceparent,
    time: '2023-11-14T22:13:20.000Z',
    extensions: { tenant: 7 },
  })
})
