import { expect, test } from 'vitest'
import { on } from '../../src/define.ts'
import { eventOf, type Replica, useJournals } from '../journal/journals.ts'
import { proxied } from '../journal/proxied.ts'
import { until } from '../support/until.ts'
import { gate, useJobs } from './jobs.harness.ts'

const journals = useJournals()
const start = useJobs()

const fromBroker = (id: string, over: Parameters<typeof eventOf>[1] = {}) =>
  eventOf(id, { kind: 'queue.event', via: 'orders', ...over })
const poison = fromBroker('poison')
const again = { redelivered: true }

/** A replica whose process dies in the middle of what `live` does with it. */
const dieIn = async (live: (replica: Replica) => Promise<unknown>): Promise<void> => {
  const { open, url } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  await live(replica)
  proxy.refuse()
  proxy.reset()
  await until(async () => (await journals().connections(replica)) === 0)
  await replica.close()
  await proxy.close()
}

/** A process whose handler never came back. */
const dieHandling = () =>
  dieIn(async (replica) => {
    const begun = gate()
    const jobs = start(replica, [
      on('order.created', () => {
        begun.open()
        return new Promise(() => undefined)
      }),
    ])
    jobs.deliver(poison, again)
    await begun.opened
  })

test('an event with which processes died is parked, and does not run again', async () => {
  await dieHandling()
  await dieHandling()
  const replica = await journals().open()
  const runs: string[] = []
  const jobs = start(replica, [on('order.created', ({ id }) => runs.push(id))])
  expect(await jobs.settled(jobs.deliver(poison, again))).toMatchObject({ outcome: 'reject' })
  expect(runs).toEqual([])
  expect(await replica.parked.list({ limit: 10 })).toMatchObject([{ id: 'poison', error: { code: 'PROCESS_DIED' } }])
  expect(await journals().sql('select id from S.begun')).toEqual([])
})

test('an event with which one process died is tried once more, and its end forgets the death', async () => {
  await dieHandling()
  const replica = await journals().open()
  const jobs = start(replica, [on('order.created', ({ id }) => id)])
  const settled = await jobs.settled(jobs.deliver(poison, again))
  expect(settled).toMatchObject({ answer: { status: 'done', value: 'poison' } })
  expect(await journals().sql('select id from S.begun')).toEqual([])
})

test('a suspect waits until the process is calm, and what comes after it in its lane waits behind it; others run', async () => {
  await dieHandling()
  const replica = await journals().open()
  const runs: string[] = []
  const jobs = start(replica, [on('order.created', ({ id }) => runs.push(id))], { calmMs: 2_000 })
  const inLane = { partitionkey: 'lane' }
  const suspect = jobs.deliver(fromBroker('poison', inLane), again)
  const behind = jobs.deliver(fromBroker('behind', inLane))
  await jobs.settled(jobs.deliver(fromBroker('other, again'), again))
  await jobs.settled(jobs.deliver(fromBroker('other')))
  expect(runs).toEqual(['other, again', 'other'])
  expect(jobs.view.waiting()).toBe(2)
  await jobs.settled(suspect)
  await jobs.settled(behind)
  expect(runs).toEqual(['other, again', 'other', 'poison', 'behind'])
})

test('with a concurrency of one everything waits behind a suspect', async () => {
  await dieHandling()
  const replica = await journals().open()
  const runs: string[] = []
  const jobs = start(replica, [on('order.created', ({ id }) => runs.push(id))], { calmMs: 500, concurrency: 1 })
  jobs.deliver(poison, again)
  await jobs.settled(jobs.deliver(fromBroker('other')))
  expect(runs).toEqual(['poison', 'other'])
})

test('suspects run one at a time', async () => {
  const both = [fromBroker('1'), fromBroker('2')]
  await dieIn(({ ledger }) => ledger.begin(both))
  const replica = await journals().open()
  let [running, most] = [0, 0]
  const jobs = start(replica, [
    on('order.created', async () => {
      most = Math.max(most, ++running)
      await replica.ledger.seen(both)
      running--
    }),
  ])
  const receipts = both.map((event) => jobs.deliver(event, again))
  for (const receipt of receipts) await jobs.settled(receipt)
  expect(most).toBe(1)
})

test('a suspect whose process is killed before it is calm is clear again', async () => {
  await dieHandling()
  await dieIn(async (replica) => {
    const jobs = start(replica, [on('order.created', ({ id }) => id)], { calmMs: 60_000 })
    jobs.deliver(poison, again)
    await until(async () => (await journals().sql('select from S.begun where held')).length === 1)
  })
  const replica = await journals().open()
  const jobs = start(replica, [on('order.created', ({ id }) => id)], { calmMs: 60_000 })
  expect(await jobs.settled(jobs.deliver(poison, again))).toMatchObject({ outcome: 'ack' })
})

test('in a drain a suspect is given back, and that is no death', async () => {
  await dieHandling()
  const replica = await journals().open()
  const jobs = start(replica, [on('order.created', ({ id }) => id)], { calmMs: 60_000 })
  const suspect = jobs.deliver(poison, again)
  await until(async () => (await journals().sql('select from S.begun where held')).length === 1)
  jobs.drain()
  expect(await jobs.settled(suspect)).toMatchObject({ outcome: 'release' })
  expect(await journals().sql('select deaths, passed, held, lease_by from S.begun')).toEqual([
    { deaths: 1, passed: 0, held: false, lease_by: null },
  ])
})

test('of a group in one transaction only the event that really runs is on record', async () => {
  const replica = await journals().open()
  const onRecord: unknown[] = []
  const jobs = start(replica, [
    on('order.created', { atomic: 'ledger' }, async () => {
      onRecord.push(await journals().sql('select id from S.begun where lease_by is not null'))
    }),
  ])
  const events = ['1', '2', '3'].map((id) => fromBroker(id, { partitionkey: 'lane' }))
  const receipts = events.map((event, index) => jobs.deliver(event, { redelivered: index !== 2 }))
  for (const receipt of receipts) expect(await jobs.settled(receipt)).toMatchObject({ outcome: 'ack' })
  expect(onRecord).toEqual([[{ id: '1' }], [{ id: '2' }], []])
  expect(await journals().sql('select id from S.begun')).toEqual([])
})
