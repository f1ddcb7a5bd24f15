import { randomBytes } from 'node:crypto'
import type { Delivery, Outcome } from '../../machines/driver.ts'
import type { Ending } from '../../machines/journal.ts'
import type { Journals, Replica } from '../journal/journals.ts'

/** What the conformance of drivers whose deliveries are rows of the journal has in common. */
export const randomSource = (): string => `s_${randomBytes(5).toString('hex')}`

/** Settles rows as jobs do: handled, given back, or parked. */
export const settleRowsOf =
  ({ ledger }: Pick<Replica, 'ledger'>) =>
  (deliveries: readonly Delivery[], outcome: Outcome): Promise<void> =>
    ledger.settle(deliveries.map(({ event, row }) => endingOf(outcome, { event, ...(row && { row }) })))

const endingOf = (outcome: Outcome, one: Pick<Ending, 'event' | 'row'>): Ending => {
  if (outcome === 'ack') return { as: 'done', ...one }
  if (outcome === 'release') return { as: 'release', ...one }
  return { as: 'park', ...one, queue: 'journal', attempts: 1, history: [], dueInMs: 0 }
}

/** Rows of a source that are neither settled nor parked. */
export const liveRows = async ({ sql }: Journals, source: string): Promise<number> => {
  const [row] = await sql<{ count: number }>(`select count(*)::int from S.event where via = $1 and state <> 'parked'`, [
    source,
  ])
  return row?.count ?? 0
}
