import type { Answer, Delivery, Settlement } from '../../machines/driver.ts'

/**
 * What a webhook source has handed over and not got back, bounded by its credit.
 *
 * A place is taken before an event is written to the journal, so that no more is made durable here than may be handed
 * over. Deliveries of one turn of the event loop (the journal commits many at once) go up as one batch, in the next one:
 * their senders are answered first, and go on meanwhile.
 */
export interface InFlight {
  isFull(): boolean
  take(): boolean
  giveBack(): void
  /** Uses the place that was taken. `onSettled` is called once, when the event is settled. */
  deliver(delivery: Delivery, onSettled?: (answer: Answer) => void): void
  /** Hands over now what would go up in the next turn. */
  flush(): void
  settle(batch: readonly Settlement[]): void
}

export const createInFlight = (mostEvents: () => number, handOver: (batch: readonly Delivery[]) => void): InFlight => {
  const unsettled = new Map<number, ((answer: Answer) => void) | undefined>()
  let taken = 0
  let batch: Delivery[] = []

  const flush = (): void => {
    if (batch.length === 0) return
    const ready = batch
    batch = []
    handOver(ready)
  }

  return {
    isFull: () => taken >= mostEvents(),
    take() {
      if (taken >= mostEvents()) return false
      taken += 1
      return true
    },
    giveBack() {
      taken -= 1
    },
    deliver(delivery, onSettled) {
      unsettled.set(delivery.receipt, onSettled)
      if (batch.push(delivery) === 1) setImmediate(flush)
    },
    flush,
    settle(settlements) {
      for (const { receipt, outcome, answer = answerOf[outcome] } of settlements) {
        const onSettled = unsettled.get(receipt)
        if (!unsettled.delete(receipt)) continue
        taken -= 1
        onSettled?.(answer)
      }
    },
  }
}

const answerOf = {
  ack: { status: 'done', value: null },
  release: { status: 'released' },
  reject: { status: 'parked' },
} as const satisfies Record<Settlement['outcome'], Answer>
