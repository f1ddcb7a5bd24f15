import { beforeEach, expect, test } from 'vitest'
import type { Failed } from '../../machines/journal.ts'
import { until } from '../support/until.ts'
import { attemptOf, eventOf, idsOf, type Replica, useJournals } from './journals.ts'

const journals = useJournals()
let replica: Replica

const parked = (id: string, over: Parameters<typeof eventOf>[1] = {}, code = 'HANDLER_FAILED'): Failed => ({
  as: 'park',
  event: eventOf(id, over),
  queue: 'journal',
  attempts: 5,
  history: [attemptOf(4), attemptOf(5, { code, message: `no ${id}` })],
  dueInMs: 0,
})

beforeEach(async () => {
  replica = await journals().open()
  await replica.ledger.settle([
    parked('a'),
    parked('b', { via: 'github', type: 'push' }, 'EVENT_INVALID'),
    parked('c', { via: 'github' }),
  ])
})

test('parked events are listed with their last error, by source, type, code and number', async () => {
  const all = await replica.parked.list({ limit: 10 })
  expect(all.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  expect(all[1]).toEqual({
    seq: expect.any(String),
    id: 'b',
    type: 'push',
    via: 'github',
    attempts: 5,
    parkedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/),
    error: { code: 'EVENT_INVALID', message: 'no b' },
  })
  const list = async (filter: object) => (await replica.parked.list({ limit: 10, ...filter })).map(({ id }) => id)
  expect(await list({ source: 'github' })).toEqual(['b', 'c'])
  expect(await list({ type: 'push' })).toEqual(['b'])
  expect(await list({ code: 'HANDLER_FAILED' })).toEqual(['a', 'c'])
  expect(await list({ seqs: [all[2]?.seq] })).toEqual(['c'])
  expect(await list({ limit: 2 })).toEqual(['a', 'b'])
  expect(await replica.parked.counts()).toEqual({ shop: 1, github: 2 })
})

test('a parked event is shown with its payload and all its attempts', async () => {
  const [first] = await replica.parked.list({ limit: 1 })
  const shown = await replica.parked.show(first?.seq ?? '')
  expect(shown?.event).toEqual(eventOf('a'))
  expect(shown?.history).toEqual(
    parked('a').history.map((entry) => ({ ...entry, error: expect.objectContaining({ name: 'Error' }) })),
  )
  expect(await replica.parked.show('4711')).toBeUndefined()
})

test('a redriven event is claimed again with all its attempts, and keeps its history', async () => {
  const other = await journals().open()
  let woken = 0
  for (const each of [replica, other]) each.intake.onWake('journal', () => woken++)
  expect(await replica.parked.redrive({ source: 'github', limit: 10 })).toBe(2)
  await until(() => woken >= 2)
  const again = await other.intake.claim('journal', 10)
  expect(idsOf(again)).toEqual(['b', 'c'])
  expect(again[0]?.row.attempts).toBe(0)
  expect(await replica.parked.counts()).toEqual({ shop: 1 })
  const [row] = await journals().sql(`select jsonb_array_length(history) as length from S.event where id = 'b'`)
  expect(row).toEqual({ length: 2 })
})

test('what is dropped is gone, and only that', async () => {
  expect(await replica.parked.drop({ type: 'push', limit: 10 })).toBe(1)
  expect(await replica.parked.counts()).toEqual({ shop: 1, github: 1 })
})

test('at most 1,000 are changed at once, whatever is asked', async () => {
  const many = Array.from({ length: 1_100 }, (_, index) => parked(`many ${index}`))
  await replica.ledger.settle(many)
  expect(await replica.parked.redrive({ limit: 1_000_000 })).toBe(1_000)
})

test('events that are not parked can be neither shown, nor redriven, nor dropped', async () => {
  const seq = await replica.enqueue('orders', { type: 'order.created', data: 1 })
  const seqs = [seq ?? '']
  expect(await replica.parked.show(seqs[0] ?? '')).toBeUndefined()
  expect(await replica.parked.redrive({ seqs, limit: 10 })).toBe(0)
  expect(await replica.parked.drop({ seqs, limit: 10 })).toBe(0)
})

test('an edited event is claimed with the new payload and all its attempts; a second edit finds it gone', async () => {
  const [first] = await replica.parked.list({ limit: 1 })
  const seq = first?.seq ?? ''
  expect(await replica.parked.edit(seq, '{"corrected":[true,"\\u00e4"]}')).toBe(true)
  expect(await replica.parked.edit(seq, '{"corrected":false}')).toBe(false)
  const [claimed] = await replica.intake.claim('journal', 10)
  expect(claimed).toMatchObject({ event: { id: 'a', data: { corrected: [true, 'ä'] } }, row: { seq, attempts: 0 } })
})

test('an edited event whose payload could not be read is JSON from then on', async () => {
  const raw = Buffer.from([0xff, 0xfe])
  await replica.ledger.settle([{ ...parked('unreadable', { datacontenttype: 'text/csv' }), raw }])
  const unreadable = (await replica.parked.list({ limit: 10 })).find(({ id }) => id === 'unreadable')
  expect(await replica.parked.edit(unreadable?.seq ?? '', '7')).toBe(true)
  const [claimed] = await replica.intake.claim('journal', 10)
  expect(claimed?.event).toMatchObject({ id: 'unreadable', data: 7, datacontenttype: 'application/json' })
  expect(claimed?.defect).toBeUndefined()
})

test('nothing that was parked later than somebody looked is redriven or dropped', async () => {
  const all = await replica.parked.list({ limit: 10 })
  const until = all.at(-1)?.parkedAt ?? ''
  await replica.ledger.settle([parked('later')])
  expect(await replica.parked.drop({ parkedUntil: until, limit: 10 })).toBe(3)
  expect((await replica.parked.list({ limit: 10 })).map(({ id }) => id)).toEqual(['later'])
})
