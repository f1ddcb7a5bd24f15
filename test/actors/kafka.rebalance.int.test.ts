import { expect, inject, test } from 'vitest'
import type { Delivery } from '../../machines/driver.ts'
import { until } from '../support/until.ts'
import { freezableMember } from './kafka.frozen.ts'
import { kafkaHarness, type Member, newGroup, numbered, positionOf } from './kafka.harness.ts'

const brokers = inject('kafkaBrokers')
const { createTopic, publish, committed, start } = kafkaHarness(brokers)

const ofPartition = (member: Member, partition: number): Delivery[] =>
  member.delivered.filter(({ order }) => order?.stream.endsWith(`/${partition}`))

/** A topic of two partitions with as many records in each. */
const twoPartitions = async (each: number): Promise<string> => {
  const topic = await createTopic(2)
  for (const partition of [0, 1])
    await publish(
      topic,
      numbered(0, each).map((message) => ({ ...message, partition })),
    )
  return topic
}

/** One more record in each. */
const oneMore = (topic: string) =>
  publish(
    topic,
    [0, 1].map((partition) => ({ partition, value: '{}' })),
  )

test('skipped records A: what was delivered and not committed comes again after a rejoin, before new records', async () => {
  const topic = await twoPartitions(100)
  const groupId = newGroup()
  const first = await start({ topics: [topic], groupId }, { credit: 1_000 })
  await first.link.consume()
  await until(() => first.delivered.length === 200)
  for (const partition of [0, 1]) first.settle(ofPartition(first, partition).slice(0, 10))
  await until(async () => Object.values(await committed(groupId, topic)).join() === '10,10')

  const second = await start({ topics: [topic], groupId }, { credit: 1_000 })
  await second.link.consume()
  await until(() => second.delivered.length === 90)
  await second.link.disconnect()
  const given = second.assignments[0]?.[0] ?? -1
  await oneMore(topic)
  await until(() => ofPartition(first, given).length === 100 + 90 + 1)
  expect(
    ofPartition(first, given)
      .slice(100)
      .map((delivery) => delivery.order?.position),
  ).toEqual(Array.from({ length: 91 }, (_, index) => 10 + index))
  first.settleAll()
  await until(async () => Object.values(await committed(groupId, topic)).join() === '101,101')
})

test('skipped records B: a partition lost and regained with nothing committed begins at its start again', async () => {
  const topic = await twoPartitions(20)
  const groupId = newGroup()
  const first = await start({ topics: [topic], groupId })
  await first.link.consume()
  await until(() => first.delivered.length === 40)
  const second = await start({ topics: [topic], groupId })
  await second.link.consume()
  await until(() => second.delivered.length === 20)
  await second.link.disconnect()
  const given = second.assignments[0]?.[0] ?? -1
  await until(() => ofPartition(first, given).length === 40)
  first.settleAll()
  await until(async () => Object.values(await committed(groupId, topic)).join() === '20,20')
})

test('with "latest" and nothing committed, records that arrive between two assignments are not skipped', async () => {
  const topic = await createTopic()
  const groupId = newGroup()
  await publish(topic, numbered(0, 5))
  const first = await start({ topics: [topic], groupId, from: 'latest' })
  await first.link.consume()
  await until(async () => (await committed(groupId, topic))[0] === 5)
  await first.link.disconnect()
  await publish(topic, numbered(5, 8))
  const second = await start({ topics: [topic], groupId, from: 'latest' })
  await second.link.consume()
  await until(() => second.delivered.length === 3)
  expect(second.positions()[0]).toBe(`${topic}/0/5`)
})

test('work under way for a partition that stays ours goes on through a rebalance and is not run twice', async () => {
  const topic = await twoPartitions(30)
  const groupId = newGroup()
  const first = await start({ topics: [topic], groupId })
  await first.link.consume()
  await until(() => first.delivered.length === 60)
  const second = await start({ topics: [topic], groupId }, { onBatch: 'ack' })
  await second.link.consume()
  await until(() => second.delivered.length === 30)
  first.settleAll()
  await until(async () => Object.values(await committed(groupId, topic)).join() === '30,30')
  expect(first.delivered).toHaveLength(60)
})

test('records of revoked partitions that still arrive from the buffer and from fetches under way are not delivered', async () => {
  const topic = await twoPartitions(500)
  const groupId = newGroup()
  const first = await start({ topics: [topic], groupId }, { credit: 10 })
  await first.link.consume()
  await until(() => first.delivered.length === 10)
  const second = await start({ topics: [topic], groupId }, { onBatch: 'ack' })
  await second.link.consume()
  await until(() => second.delivered.length === 500)
  const taken = second.assignments[0]?.[0] ?? -1
  const before = ofPartition(first, taken).length
  while (ofPartition(first, 1 - taken).length < 500) {
    first.settleAll()
    await until(() => first.unsettled.size > 0 || ofPartition(first, 1 - taken).length === 500)
  }
  first.settleAll()
  expect(ofPartition(first, taken)).toHaveLength(before)
  expect(second.delivered).toHaveLength(500)
})

test('what is settled is committed when a rebalance begins, and the new owner starts from there', async () => {
  const topic = await twoPartitions(50)
  const groupId = newGroup()
  const first = await start({ topics: [topic], groupId, commitIntervalMs: 60_000 })
  await first.link.consume()
  await until(() => first.delivered.length === 100)
  first.settleAll()
  await oneMore(topic)
  const second = await start({ topics: [topic], groupId })
  await second.link.consume()
  await until(() => second.delivered.length > 0)
  expect(second.delivered[0]?.order?.position).toBe(50)
})

test('a new stream for each join is opened before the old one is destroyed: one join is one rebalance', async () => {
  const topic = await twoPartitions(5)
  const groupId = newGroup()
  const first = await start({ topics: [topic], groupId }, { onBatch: 'ack' })
  await first.link.consume()
  await until(() => first.delivered.length === 10)
  const second = await start({ topics: [topic], groupId }, { onBatch: 'ack' })
  await second.link.consume()
  await until(() => first.assignments.length > 1)
  await oneMore(topic)
  await until(async () => Object.values(await committed(groupId, topic)).join() === '6,6')
  expect(first.assignments.map((partitions) => partitions.length)).toEqual([2, 1])
  expect(second.assignments.map((partitions) => partitions.length)).toEqual([1])
})

test('acks of a cancelled member are committed through a rebalance for the partitions that stay its own', async () => {
  const topic = await twoPartitions(10)
  const groupId = newGroup()
  const first = await start({ topics: [topic], groupId })
  await first.link.consume()
  await until(() => first.delivered.length === 20)
  await first.link.cancel()
  const second = await start({ topics: [topic], groupId }, { onBatch: 'ack' })
  await second.link.consume()
  await until(() => second.delivered.length === 10)
  first.settleAll()
  await first.link.disconnect()
  await until(async () => Object.values(await committed(groupId, topic)).join() === '10,10')
  expect(first.delivered).toHaveLength(20)
  expect(second.delivered).toHaveLength(10)
})

test('a commit is fenced: a member that was frozen and expelled rewinds nobody, and reads again what it had not settled', async () => {
  const topic = await createTopic(1)
  const groupId = newGroup()
  await publish(topic, numbered(0, 300))
  const frozen = await freezableMember({ brokers, topic, groupId })
  await until(() => frozen.delivered().length === 300)
  frozen.settleAndFreeze({ upTo: 200, ms: 11_000 })

  const other = await start({ topics: [topic], groupId }, { credit: 1_000, onBatch: 'ack' })
  await other.link.consume()
  const seen: number[] = []
  await until(async () => {
    seen.push((await committed(groupId, topic))[0] ?? 0)
    return seen.at(-1) === 300
  }, 20_000)
  await until(() => frozen.awake(), 20_000)
  await until(async () => {
    seen.push((await committed(groupId, topic))[0] ?? 0)
    return frozen.joins() === 2 && other.assignments.length === 2
  }, 20_000)
  await publish(topic, numbered(300, 310))
  frozen.ackFromNowOn()
  await until(async () => {
    seen.push((await committed(groupId, topic))[0] ?? 0)
    return seen.at(-1) === 310
  })
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  await frozen.stop()
})

test('three members and two rebalances: nothing is lost, and nothing is committed past an unsettled record', async () => {
  const topic = await createTopic(6)
  const groupId = newGroup()
  const total = 6_000
  const acked = new Set<string>()
  const overrun: string[] = []
  let seed = 7
  const heads = () => {
    seed = (seed * 16_807) % 2_147_483_647
    return seed % 2 === 0
  }
  /** Settles out of order and late: a random half of what is in hand, whenever something arrives. */
  const onBatch = (_: readonly Delivery[], member: Member) =>
    setImmediate(() => {
      const some = [...member.unsettled.values()].filter(heads)
      for (const delivery of some) acked.add(positionOf(delivery))
      member.settle(some)
      if (member.unsettled.size > 0) onBatch([], member)
    })
  const begin = async () => {
    const member = await start({ topics: [topic], groupId }, { credit: 200, onBatch })
    await member.link.consume()
    return member
  }
  const check = async () => {
    for (const [partition, offset] of Object.entries(await committed(groupId, topic))) {
      for (let position = 0; position < offset; position++) {
        if (!acked.has(`${topic}/${partition}/${position}`)) overrun.push(`${partition}/${position} below ${offset}`)
      }
    }
  }
  const members = [await begin()]
  await publish(topic, numbered(0, total / 3))
  await until(async () => acked.size > 500)
  members.push(await begin())
  await publish(topic, numbered(total / 3, (2 * total) / 3))
  await check()
  await until(async () => acked.size > 2_500)
  members.push(await begin())
  await check()
  await publish(topic, numbered((2 * total) / 3, total))
  await until(async () => {
    await check()
    return acked.size === total
  }, 30_000)
  await until(async () => {
    const offsets = Object.values(await committed(groupId, topic))
    return offsets.reduce((sum, offset) => sum + offset, 0) === total
  })
  await check()
  expect(overrun).toEqual([])
  expect(Math.max(...members.map((member) => member.peak()))).toBeLessThanOrEqual(200)
  expect(members.flatMap((member) => member.lost)).toEqual([])
}, 90_000)
