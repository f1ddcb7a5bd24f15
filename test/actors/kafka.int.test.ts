import { expect, inject, test } from 'vitest'
import type { Delivery } from '../../machines/driver.ts'
import { until } from '../support/until.ts'
import { kafkaHarness, newGroup, numbered, positionOf } from './kafka.harness.ts'

const { createTopic, publish, committed, start } = kafkaHarness(inject('kafkaBrokers'))

test('a record arrives as a CloudEvent with its key, time and position', async () => {
  const topic = await createTopic()
  await publish(topic, [
    { key: 'customer-7', value: '{"no":1}', headers: { type: 'order.created', shop: 'se', 'x-odd': '1' } },
    { value: null, headers: { ce_id: 'e-2', ce_source: '/shop', ce_type: 'order.erased', ce_specversion: '1.0' } },
  ])
  const member = await start({ topics: [topic] })
  await member.link.consume()
  await until(() => member.delivered.length === 2)
  const [first, second] = member.delivered
  expect(first).toMatchObject({
    redelivered: true,
    bytes: 8,
    order: { stream: `${topic}/0`, position: 0 },
    event: {
      id: `${topic}/0/0`,
      source: 'koksmat:orders',
      type: 'order.created',
      data: { no: 1 },
      partitionkey: 'customer-7',
      extensions: { shop: 'se' },
      identified: true,
      kind: 'queue.event',
      via: 'orders',
    },
  })
  expect(Date.now() - Date.parse(first?.event.time ?? '')).toBeLessThan(60_000)
  expect(second?.event).toMatchObject({ id: 'e-2', source: '/shop', type: 'order.erased', data: null })
  expect(second?.event.extensions).toEqual({ tombstone: true })
})

test('only contiguous settled prefixes are committed', async () => {
  const topic = await createTopic()
  await publish(topic, numbered(0, 10))
  const member = await start({ topics: [topic] })
  await member.link.consume()
  await until(() => member.delivered.length === 10)
  const at = (...positions: number[]): Delivery[] => positions.flatMap((position) => member.delivered[position] ?? [])
  member.settle(at(0, 1, 2, 5, 9))
  await until(async () => (await committed(member.groupId, topic))[0] === 3)
  member.settle(at(3), 'reject')
  await until(async () => (await committed(member.groupId, topic))[0] === 4)
  member.settle(at(4))
  await until(async () => (await committed(member.groupId, topic))[0] === 6)
})

test('never more than the credit is unsettled, and half of it back starts the intake again', async () => {
  const topic = await createTopic(3)
  await publish(topic, numbered(0, 500))
  const member = await start({ topics: [topic] }, { credit: 20 })
  await member.link.consume()
  while (member.delivered.length < 500) {
    await until(() => member.unsettled.size === Math.min(20, 500 - member.delivered.length + member.unsettled.size))
    member.settle([...member.unsettled.values()].slice(0, 10))
  }
  expect(member.peak()).toBe(20)
  expect(new Set(member.positions()).size).toBe(500)
})

test('pause stops the intake exactly, and resume starts it again', async () => {
  const topic = await createTopic()
  await publish(topic, numbered(0, 50))
  const member = await start({ topics: [topic] }, { credit: 10 })
  await member.link.consume()
  await until(() => member.delivered.length === 10)
  member.link.pause()
  member.link.pause()
  member.settleAll()
  await until(async () => (await committed(member.groupId, topic))[0] === 10)
  expect(member.delivered).toHaveLength(10)
  member.link.resume()
  member.link.resume()
  await until(() => member.delivered.length === 20)
})

test('what was released while the link lives comes again, and nothing above it is committed', async () => {
  const topic = await createTopic()
  await publish(topic, numbered(0, 6))
  const member = await start({ topics: [topic] })
  await member.link.consume()
  await until(() => member.delivered.length === 6)
  const released = member.delivered[2] as Delivery
  member.settle([released], 'release')
  member.settle(member.delivered.slice(0, 2))
  member.settle(member.delivered.slice(3, 6))
  await until(() => member.positions().filter((position) => position === positionOf(released)).length === 2)
  expect(await committed(member.groupId, topic)).toEqual({ 0: 2 })
  await until(() => member.unsettled.size === 4)
  member.settleAll()
  await until(async () => (await committed(member.groupId, topic))[0] === 6)
})

test('after cancel nothing is delivered and acks are still committed', async () => {
  const topic = await createTopic()
  await publish(topic, numbered(0, 30))
  const member = await start({ topics: [topic] }, { credit: 10 })
  await member.link.consume()
  await until(() => member.delivered.length === 10)
  await member.link.cancel()
  member.settle(member.delivered.slice(0, 8))
  await until(async () => (await committed(member.groupId, topic))[0] === 8)
  member.settle(member.delivered.slice(8), 'release')
  await member.link.disconnect()
  expect(member.delivered).toHaveLength(10)
  expect(await committed(member.groupId, topic)).toEqual({ 0: 8 })
})

test('disconnect commits what was settled, at any time and twice, and the next member goes on from there', async () => {
  const topic = await createTopic()
  const groupId = newGroup()
  await publish(topic, numbered(0, 20))
  const first = await start({ topics: [topic], groupId, commitIntervalMs: 60_000 })
  await first.link.consume()
  await until(() => first.delivered.length === 20)
  first.settle(first.delivered.slice(0, 12))
  await Promise.all([first.link.disconnect(), first.link.disconnect()])
  await first.link.disconnect()
  expect(first.lost).toEqual([])

  const second = await start({ topics: [topic], groupId })
  await second.link.consume()
  await until(() => second.delivered.length === 8)
  expect(second.positions()[0]).toBe(`${topic}/0/12`)

  const idle = await start({ topics: [topic] })
  await idle.link.disconnect()
})

test('a payload that cannot be read is delivered with its defect, and the stream goes on', async () => {
  const topic = await createTopic()
  await publish(topic, [{ value: '{no json' }, { value: 'x'.repeat(2_000) }, { value: '{"no":3}' }])
  const member = await start({ topics: [topic], maxEventBytes: 1_000 })
  await member.link.consume()
  await until(() => member.delivered.length === 3)
  expect(member.delivered.map(({ defect }) => defect?.error.code)).toEqual([
    'EVENT_MALFORMED',
    'EVENT_TOO_LARGE',
    undefined,
  ])
  expect(member.delivered.map(({ defect }) => defect?.raw.length)).toEqual([8, 2_000, undefined])
})
