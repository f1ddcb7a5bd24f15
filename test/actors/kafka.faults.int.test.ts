import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createKafkaDriver } from '../../actors/kafka.ts'
import { startKafkaServer } from '../support/kafkaServer.ts'
import { until } from '../support/until.ts'
import { createHarness, kafkaHarness, newGroup, numbered } from './kafka.harness.ts'

const { admin, createTopic, publish, committed, start } = kafkaHarness(inject('kafkaBrokers'))

/** Every socket this process opens. */
const sockets = new Set<Socket>()
const onSocket = (message: unknown) => sockets.add((message as { socket: Socket }).socket)
beforeAll(() => subscribe('net.client.socket', onSocket))
afterAll(() => unsubscribe('net.client.socket', onSocket))

test('connections that are reset lose nothing', async () => {
  const topic = await createTopic(2)
  await publish(topic, numbered(0, 100))
  const member = await start({ topics: [topic] }, { credit: 20 })
  await member.link.consume()
  await until(() => member.unsettled.size === 20)
  for (const socket of sockets) socket.resetAndDestroy()
  const settling = setInterval(() => member.settleAll(), 10)
  try {
    await until(async () => {
      const offsets = Object.values(await committed(member.groupId, topic))
      return offsets.reduce((sum, offset) => sum + offset, 0) === 100
    }, 30_000)
  } finally {
    clearInterval(settling)
  }
  expect(new Set(member.positions()).size).toBe(100)
  expect(member.lost).toEqual([])
})

test('a broker that is killed costs the link at most once, and the next link loses nothing', async () => {
  const own = await startKafkaServer()
  try {
    const broker = createHarness(own.url)
    const topic = await broker.createTopic(1)
    const groupId = newGroup()
    await broker.publish(topic, numbered(0, 50))
    const member = await broker.start({ topics: [topic], groupId }, { credit: 20 })
    await member.link.consume()
    await until(() => member.unsettled.size === 20)
    member.settle([...member.unsettled.values()].slice(0, 5))
    await until(async () => (await broker.committed(groupId, topic))[0] === 5)
    await own.kill()
    await until(() => member.lost.length === 1, 40_000)
    expect(member.lost[0]).toMatchObject({ code: 'SOURCE_CONNECTION_LOST' })
    await member.link.disconnect()
    member.settleAll()
    await expect(broker.start({ topics: [topic], groupId })).rejects.toMatchObject({ code: 'SOURCE_CONNECT_FAILED' })

    await own.restart()
    const next = await broker.start({ topics: [topic], groupId }, { onBatch: 'ack' })
    await next.link.consume()
    await until(async () => (await broker.committed(groupId, topic))[0] === 50, 20_000)
    expect(next.positions()[0]).toBe(`${topic}/0/5`)
    expect(member.lost).toHaveLength(1)
    await broker.close()
  } finally {
    await own.stop()
  }
}, 120_000)

test('a broker that is frozen is noticed by the heartbeats, and the link is lost', async () => {
  const own = await startKafkaServer()
  try {
    const broker = createHarness(own.url)
    const topic = await broker.createTopic(1)
    const member = await broker.start({ topics: [topic] })
    await member.link.consume()
    await until(() => member.assignments.length === 1)
    await own.pause()
    await until(() => member.lost.length === 1, 30_000)
    await member.link.disconnect()
    own.resume()
    expect(member.lost).toMatchObject([{ code: 'SOURCE_CONNECTION_LOST' }])
    await broker.close()
  } finally {
    await own.stop()
  }
}, 120_000)

test('a topic that is missing is SOURCE_NOT_FOUND, and a later connect works', async () => {
  const topic = `t-${newGroup()}`
  await expect(start({ topics: [topic] })).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
  await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 })
  await publish(topic, numbered(0, 3))
  const member = await start({ topics: [topic] })
  await member.link.consume()
  await until(() => member.delivered.length === 3)
})

test('a broker that does not answer is SOURCE_TIMED_OUT or SOURCE_CONNECT_FAILED in time, and leaves nothing open', async () => {
  const begun = Date.now()
  const driver = createKafkaDriver({
    brokers: ['127.0.0.1:9'],
    topics: ['t'],
    groupId: newGroup(),
    from: 'earliest',
    sessionTimeoutMs: 6_000,
    commitIntervalMs: 50,
    clientId: 'tests',
    maxBytesPerPartition: 1_000,
    maxEventBytes: 1_000,
    connectTimeoutMs: 2_000,
  })
  const host = {
    source: 's',
    credit: { events: 1, bytes: 1 },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    deliver() {},
    lost() {},
    gauge() {},
    count() {},
  }
  await expect(driver.connect(host)).rejects.toThrow(/Kafka/)
  expect(Date.now() - begun).toBeLessThan(8_000)
})

test('partitions added to a topic are noticed, and read from their beginning by whoever gets them', async () => {
  const topic = await createTopic(1)
  const groupId = newGroup()
  const first = await start({ topics: [topic], groupId }, { onBatch: 'ack' })
  await first.link.consume()
  const second = await start({ topics: [topic], groupId }, { onBatch: 'ack' })
  await second.link.consume()
  await until(() => first.gauges.size + second.gauges.size > 0)
  await admin.createPartitions({
    topics: [{ name: topic, count: 4, assignments: [1, 1, 1].map((id) => ({ brokerIds: [id] })) }],
  })
  for (const partition of [0, 1, 2, 3]) {
    await until(() => publish(topic, [{ value: '{}', partition }]).then(() => true))
  }
  await until(() => first.delivered.length + second.delivered.length === 4, 20_000)
  expect([first, second].map((member) => member.assignments.at(-1)?.length)).toEqual([2, 2])
  expect([first.lost, second.lost]).toEqual([[], []])
}, 40_000)

test('records deleted before they were read are reported as a hole', async () => {
  const topic = await createTopic(1)
  const groupId = newGroup()
  await publish(topic, numbered(0, 20))
  const first = await start({ topics: [topic], groupId })
  await first.link.consume()
  await until(() => first.delivered.length === 20)
  first.settle(first.delivered.slice(0, 5))
  await first.link.disconnect()
  await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 12n }] }] })
  const second = await start({ topics: [topic], groupId })
  await second.link.consume()
  await until(() => second.delivered.length === 8)
  expect(second.gauges.get(`kafka_hole_records ${topic} 0`)).toBe(7)
  expect(second.warnings.map(({ message }) => message)).toEqual(['records deleted before they were read'])
  expect(second.positions()[0]).toBe(`${topic}/0/12`)
})

test('a hole that opens under way is reported when what was fetched before it is delivered', async () => {
  const topic = await createTopic(1)
  for (const message of numbered(0, 20)) await publish(topic, [message])
  const member = await start({ topics: [topic], maxBytesPerPartition: 200 }, { credit: 2 })
  await member.link.consume()
  await until(() => member.unsettled.size === 2)
  await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 15n }] }] })
  await until(() => {
    member.settleAll()
    return member.delivered.at(-1)?.order?.position === 19
  })
  const read = member.delivered.map(({ order }) => order?.position ?? -1)
  const lastBefore = Math.max(...read.filter((position) => position < 15))
  expect(read).toEqual([...Array(lastBefore + 1).keys(), 15, 16, 17, 18, 19])
  expect(member.gauges.get(`kafka_hole_records ${topic} 0`)).toBe(15 - lastBefore - 1)
})

test('lag is the number of records up to the end of the log that are not settled', async () => {
  const topic = await createTopic(1)
  await publish(topic, numbered(0, 30))
  const member = await start({ topics: [topic] }, { credit: 10 })
  await member.link.consume()
  await until(() => member.gauges.get(`kafka_lag ${topic} 0`) === 30)
  member.settleAll()
  await until(() => member.gauges.get(`kafka_lag ${topic} 0`) === 20, 15_000)
}, 30_000)

test('a disconnect during a rejoin of the group ends in time', async () => {
  const topic = await createTopic(2)
  const groupId = newGroup()
  const first = await start({ topics: [topic], groupId })
  await first.link.consume()
  const second = await start({ topics: [topic], groupId })
  const joining = second.link.consume()
  const begun = Date.now()
  await Promise.all([first.link.disconnect(), joining])
  await second.link.disconnect()
  expect(Date.now() - begun).toBeLessThan(5_000)
  expect([first.lost, second.lost]).toEqual([[], []])
})

/**
 * A stream that is made on a consumer that closes fails at once; with nobody listening that ended the process. A join that
 * went on after the close began heartbeats that nothing ended: timers, which no test file may leave.
 */
test('a disconnect at any moment while the link begins to consume is no uncaught error, and leaves nothing behind', async () => {
  const topic = await createTopic(1)
  for (let afterMs = 0; afterMs < 40; afterMs += 2) {
    const member = await start({ topics: [topic] })
    const consuming = member.link.consume().catch((thrown: unknown) => thrown)
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    await member.link.disconnect()
    await consuming
  }
})
