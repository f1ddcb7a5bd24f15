import { expect, test } from 'vitest'
import { on } from '../../src/define.ts'
import { eventOf, useJournals } from '../journal/journals.ts'
import { gate, useJobs } from './jobs.harness.ts'

const journals = useJournals()
const start = useJobs()
const report = eventOf('1', { type: 'report.wanted', kind: 'queue.event', via: 'orders' })

test('a long event moves to the queue `long` and its source is settled before it runs', async () => {
  const replica = await journals().open()
  const jobs = start(replica, [on('report.wanted', { long: true }, () => 'report')])
  expect(await jobs.settled(jobs.deliver(report))).toMatchObject({ outcome: 'ack' })
  expect(jobs.observed).toEqual({ moved: 1 })
  expect(await journals().sql('select id, queue, state from S.event')).toEqual([
    { id: '1', queue: 'long', state: 'ready' },
  ])
  expect(await jobs.settled(await jobs.claim('long'))).toMatchObject({ answer: { status: 'done', value: 'report' } })
  expect(await journals().states()).toEqual({})
})

test('a checkpoint is there on the next run, after a failure and after a shutdown in another replica', async () => {
  const { open } = journals()
  const [one, two] = await Promise.all([open(), open()])
  const found: unknown[] = []
  const begun = gate()
  const retry = { attempts: 5, inPlace: 0, backoff: '1ms' } as const
  const handlers = [
    on('report.wanted', { long: true, retry }, async (_event, { checkpoint, saveCheckpoint, signal }) => {
      found.push(checkpoint)
      await saveCheckpoint({ page: found.length })
      if (found.length === 1) throw new Error('no')
      if (found.length > 2) return
      begun.open()
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      signal.throwIfAborted()
    }),
  ]
  const first = start(one, handlers)
  await first.settled(first.deliver(report))
  expect(await first.settled(await first.claim('long'))).toMatchObject({ answer: { status: 'retrying' } })
  const interrupted = await first.claim('long')
  await begun.opened
  first.abort()
  expect(await first.settled(interrupted)).toMatchObject({ outcome: 'release' })
  const second = start(two, handlers)
  expect(await second.settled(await second.claim('long'))).toMatchObject({ answer: { status: 'done' } })
  expect(found).toEqual([undefined, { page: 1 }, { page: 2 }])
})

test('a drain tells a long handler softly, and it may end in peace', async () => {
  const replica = await journals().open()
  const begun = gate()
  const jobs = start(replica, [
    on('report.wanted', { long: true }, async (_event, { draining, signal, progress }) => {
      progress(0.5)
      begun.open()
      await new Promise((resolve) => draining.addEventListener('abort', resolve, { once: true }))
      return signal.aborted
    }),
  ])
  await jobs.settled(jobs.deliver(report))
  const running = await jobs.claim('long')
  await begun.opened
  expect(jobs.view.unsettled()).toMatchObject([{ progress: 0.5 }])
  jobs.drain()
  expect(await jobs.settled(running)).toMatchObject({ answer: { status: 'done', value: false } })
})

test('long handlers need no slot of the others', async () => {
  const replica = await journals().open()
  const [begun, go] = [gate(), gate()]
  const handlers = [
    on('report.wanted', { long: true }, async () => {
      begun.open()
      await go.opened
    }),
    on('order.created', () => undefined),
  ]
  const jobs = start(replica, handlers, { concurrency: 1 })
  await jobs.settled(jobs.deliver(report))
  const running = await jobs.claim('long')
  await begun.opened
  await jobs.settled(jobs.deliver(eventOf('2', { kind: 'queue.event', via: 'orders' })))
  go.open()
  await jobs.settled(running)
})
