import type { Answer, Outcome, Settlement } from '../../machines/driver.ts'
import type { Result, SettledBatch } from '../../machines/protocol.ts'
import type { Task } from './task.ts'

/** What the source is told for each result. */
const outcomes: Readonly<Record<Result, Outcome>> = {
  done: 'ack',
  ignored: 'ack',
  duplicate: 'ack',
  retried: 'ack',
  moved: 'ack',
  parked: 'reject',
  released: 'release',
}

const many = 64

interface Batch {
  readonly source: string
  settlements: Settlement[]
  bytes: number
  results: Partial<Record<Result, number>>
}

/**
 * Gathers the settlements of one turn of the event loop, a batch a source. Many of them do not wait for the end of the
 * turn: what arrives meanwhile would keep the broker from hearing of them.
 */
export const createOutbox = (send: (batches: readonly SettledBatch[]) => void) => {
  let batches = new Map<string, Batch>()
  let gathered = 0

  const flush = (): void => {
    if (gathered === 0) return
    const full = batches
    batches = new Map()
    gathered = 0
    send([...full.values()])
  }

  return (task: Pick<Task, 'source' | 'delivery'>, result: Result, answer?: Answer): void => {
    gathered += 1
    if (gathered === 1) setImmediate(flush)
    if (gathered === many) process.nextTick(flush)
    let batch = batches.get(task.source)
    if (batch === undefined) {
      batch = { source: task.source, settlements: [], bytes: 0, results: {} }
      batches.set(task.source, batch)
    }
    const { receipt, bytes } = task.delivery
    const outcome = outcomes[result]
    batch.settlements.push(answer === undefined ? { receipt, outcome } : { receipt, outcome, answer })
    batch.bytes += bytes
    batch.results[result] = (batch.results[result] ?? 0) + 1
  }
}
