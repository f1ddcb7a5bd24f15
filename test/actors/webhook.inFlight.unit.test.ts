import { expect, test } from 'vitest'
import { createInFlight } from '../../actors/webhook/inFlight.ts'
import type { Delivery } from '../../machines/driver.ts'

const delivery = (receipt: number): Delivery => ({
  receipt,
  bytes: 2,
  redelivered: false,
  event: { id: `e${receipt}`, identified: true, source: '/s', type: 't', data: {}, via: 's', kind: 'webhook.event' },
})
const receipts = (batches: readonly (readonly Delivery[])[]): number[][] =>
  batches.map((batch) => batch.map(({ receipt }) => receipt))

const start = () => {
  const batches: (readonly Delivery[])[] = []
  const inFlight = createInFlight(
    () => 10,
    (batch) => batches.push(batch),
  )
  return { inFlight, batches }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))
const allPromises = () => new Promise((resolve) => process.nextTick(resolve)).then(() => Promise.resolve())

test('senders are answered before their events are handed over: as one batch, a turn later', async () => {
  const { inFlight, batches } = start()
  inFlight.deliver(delivery(1))
  await allPromises()
  inFlight.deliver(delivery(2))
  await allPromises()
  expect(receipts(batches)).toEqual([])
  await turn()
  expect(receipts(batches)).toEqual([[1, 2]])
})

test('who closes does not wait for the turn, and hands nothing over twice', async () => {
  const { inFlight, batches } = start()
  inFlight.flush()
  inFlight.deliver(delivery(1))
  inFlight.flush()
  inFlight.flush()
  expect(receipts(batches)).toEqual([[1]])
  await turn()
  expect(receipts(batches)).toEqual([[1]])
})
