import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { SettledBatch } from '../../machines/protocol.ts'
import { createOutbox } from '../../src/jobs/outbox.ts'
import { eventOf } from '../journal/journals.ts'

const opened = () => {
  const sent: (readonly SettledBatch[])[] = []
  const outbox = createOutbox((batches) => sent.push(batches))
  let receipts = 0
  const settle = (source: string, count: number): void => {
    for (let n = 0; n < count; n++) {
      const receipt = ++receipts
      outbox({ source, delivery: { receipt, event: eventOf(String(receipt)), bytes: 10, redelivered: false } }, 'done')
    }
  }
  const receiptsSent = () =>
    sent.map((batches) => batches.flatMap((one) => one.settlements.map(({ receipt }) => receipt)))
  return { sent, settle, receiptsSent }
}

test('what is settled within a turn of the event loop goes back at its end, a batch for each source', async () => {
  const { sent, settle } = opened()
  settle('orders', 2)
  await Promise.resolve()
  settle('stock', 1)
  expect(sent).toEqual([])
  await turn()
  expect(sent).toMatchObject([
    [
      { source: 'orders', bytes: 20, results: { done: 2 }, settlements: [{ receipt: 1 }, { receipt: 2 }] },
      { source: 'stock', bytes: 10, results: { done: 1 }, settlements: [{ receipt: 3 }] },
    ],
  ])
})

test('many do not wait for the end of the turn, and none goes back twice', async () => {
  const { settle, receiptsSent } = opened()
  settle('orders', 100)
  await new Promise((resolve) => process.nextTick(resolve))
  expect(receiptsSent()).toEqual([Array.from({ length: 100 }, (_, index) => index + 1)])
  settle('orders', 1)
  await turn()
  await turn()
  expect(receiptsSent().slice(1)).toEqual([[101]])
})
