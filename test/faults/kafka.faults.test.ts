import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import { expect, inject } from 'vitest'
import { createKafkaPublisher } from '../../actors/kafka/publisher.ts'
import { createHarness } from '../actors/kafka.harness.ts'
import { createWorld, type World } from '../e2e/lifecycle.harness.ts'
import { freePort } from '../support/freePort.ts'
import { until } from '../support/until.ts'
import { row } from './record.ts'
import { drained, parkedOf, settled } from './verdict.ts'

const brokers = inject('kafkaBrokers')
const [partitions, locks] = [3, 8]
const sessionMs = 6_000

interface Stream {
  readonly records: number
  readonly seconds: number
  readonly into?: readonly number[]
  readonly called?: string
}

/** Writes to each partition in turn, so that an id tells the offset in a new topic: `record-PARTITION-OFFSET`. */
const publishSteadily = async (
  { name, ledger }: World,
  { records, seconds, into = [...Array(partitions).keys()], called = 'record' }: Stream,
): Promise<void> => {
  const publisher = createKafkaPublisher([brokers])
  const began = performance.now()
  try {
    for (let sent = 0; sent < records; ) {
      const due = Math.min(records, Math.ceil(((performance.now() - began) / 1_000) * (records / seconds)))
      const batch = Array.from({ length: Math.max(0, due - sent) }, (_, place) => sent + place)
      const messages = batch.map((no) => {
        const partition = into[no % into.length] ?? 0
        const id = `${called}-${partition}-${Math.floor(no / into.length)}`
        const headers = { 'content-type': 'application/json', ce_specversion: '1.0', ce_id: id, ce_source: 'test' }
        return {
          id,
          partition,
          value: JSON.stringify({ id }),
          headers: { ...headers, ce_type: `swift.${no % locks}` },
        }
      })
      const published = publisher.publish(name, messages)
      await Promise.all(messages.map(({ id }) => ledger.send(id, () => published)))
      sent += batch.length
      await sleep(50)
    }
  } finally {
    await publisher.close()
  }
}

/** What the group has committed, and which records below that have no effect. */
const looker = (world: World) => {
  const admin = new Admin({ clientId: 'looker', bootstrapBrokers: [brokers] })
  const highest: Record<number, number> = {}
  const wrong: string[] = []
  const look = async (): Promise<number> => {
    const [group] = await admin.listConsumerGroupOffsets({ groups: [world.name] })
    const offsets = group?.topics.find(({ name }) => name === world.name)?.partitions ?? []
    for (const { partitionIndex: partition, committedOffset } of offsets) {
      const committed = Number(committedOffset)
      const { rows } = await world.database.query<{ n: number }>(
        `select count(*)::int as n from ${world.name}.effects where id like $1 and split_part(id, '-', 3)::int < $2`,
        [`record-${partition}-%`, committed],
      )
      if (rows[0]?.n !== Math.max(0, committed)) wrong.push(`${partition}: ${rows[0]?.n} effects below ${committed}`)
      if (committed < (highest[partition] ?? 0))
        wrong.push(`${partition}: ${highest[partition]} rewound to ${committed}`)
      highest[partition] = committed
    }
    return offsets.reduce((sum, { committedOffset }) => sum + Number(committedOffset), 0)
  }
  const members = async (): Promise<number> =>
    (await admin.describeGroups({ groups: [world.name] })).get(world.name)?.members.size ?? 0
  return { look, members, wrong, [Symbol.asyncDispose]: () => admin.close() }
}

row(
  17,
  'three Kafka members and a rebalance every 5 s; one is frozen and expelled, one is killed',
  {
    expected: 'commits only settled prefixes; lost 0, duplicate effects 0, never committed past an unsettled record',
    P: { seconds: 20, records: 1_500 },
    N: { seconds: 60, records: 10_000 },
    minutes: { P: 6, N: 8 },
  },
  async ({ seconds, records }, { measured, progress }) => {
    await using world = await createWorld()
    const harness = createHarness(brokers)
    await using group = looker(world)
    const started = async () =>
      world.start({ PORT: String(await freePort()), KOKSMAT_ADMIN_PORT: String(await freePort()) })
    // One after the other: three that start at once on two cores are slow to.
    const [survivor, frozen, killed] = [await world.start(), await started(), await started()]
    await until(async () => (await group.members()) === 3, 30_000)
    let going = true
    let rebalances = 0
    let looks = 0

    /** Comes into the group, takes what it is given, settles nothing, and goes. */
    const visits = async (): Promise<void> => {
      while (going) {
        const guest = await harness.start({ topics: [world.name], groupId: world.name })
        await guest.link.consume()
        await until(() => guest.assignments.length > 0, 30_000)
        await sleep(5_000)
        await guest.stop()
        rebalances += 2
        await sleep(5_000)
      }
    }
    const watch = async (): Promise<void> => {
      while (going) {
        await group.look()
        looks += 1
        await sleep(250)
      }
    }
    const faults = async (): Promise<void> => {
      await sleep((seconds / 5) * 1_000)
      frozen.signal('SIGSTOP')
      await until(async () => (await group.members()) < 3, 30_000)
      await sleep(sessionMs / 2)
      frozen.signal('SIGCONT')
      await sleep((seconds / 5) * 1_000)
      killed.signal('SIGKILL')
    }
    const watching = [visits(), watch()]
    await Promise.all([faults(), publishSteadily(world, { records, seconds })])
    going = false
    await Promise.all(watching)
    progress(`row 17: ${rebalances} rebalances by a guest, ${looks} looks`)
    const figures = await settled(world, 120_000)
    await until(async () => (await group.look()) === records, 60_000)
    const parked = (await parkedOf(world)).length
    measured({ records, rebalances, looks, wrongCommits: group.wrong.length, parked, ...figures })
    await harness.close()
    for (const controller of [survivor, frozen]) await drained(controller)
    expect(group.wrong).toEqual([])
    expect(figures['effects']).toBe(records)
    expect(parked).toBe(0)
    expect(rebalances).toBeGreaterThanOrEqual(2)
  },
)

row(
  18,
  'while records flow partitions are added to the topic, and records deleted before they are read',
  {
    expected: 'added partitions are read from their beginning, the hole is told; lost 0, duplicate effects 0',
    P: { records: 600, deleted: 50 },
    N: { records: 9_000, deleted: 5_000 },
    minutes: { P: 4 },
  },
  async ({ records, deleted }, { measured }) => {
    await using world = await createWorld()
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [brokers] })
    const publisher = createKafkaPublisher([brokers])
    try {
      const first = await world.start()
      await world.ready()
      const flowing = publishSteadily(world, { records, seconds: 10 })
      await sleep(2_000)
      const assignments = [1, 1].map((id) => ({ brokerIds: [id] }))
      await admin.createPartitions({ topics: [{ name: world.name, count: partitions + 2, assignments }] })
      const added = { records: records / 3, seconds: 5, into: [partitions, partitions + 1] }
      await until(() => publishSteadily(world, added).then(() => true))
      await flowing
      await settled(world, 60_000)
      await drained(first)
      const doomed = Array.from({ length: deleted }, () => ({ partition: 0, value: '{}' }))
      await publisher.publish(world.name, doomed)
      const offset = BigInt(records / partitions + deleted)
      await admin.deleteRecords({ topics: [{ name: world.name, partitions: [{ partition: 0, offset }] }] })
      const second = await world.start()
      await publishSteadily(world, { records, seconds: 10, called: 'later' })
      const figures = await settled(world, 60_000)
      const holes = second.log().filter(({ msg }) => msg === 'records deleted before they were read')
      measured({ records, added: added.records, deleted, holesTold: holes.length, ...figures })
      await drained(second)
      expect(holes).toEqual([expect.objectContaining({ partition: 0, missing: deleted })])
      expect(figures['effects']).toBe(2 * records + added.records)
    } finally {
      await publisher.close()
      await admin.close()
    }
  },
)
