import type { Delivery, Settlement } from '../../machines/driver.ts'
import type { EventArrived, JobsSettled, LinkFact, SourceCommand } from '../../machines/protocol.ts'

/**
 * What the flight recorder keeps of an event, and an event that does to a machine what that one did. Payloads are not
 * kept; how many, how large and which ids are.
 */
type Told = EventArrived | JobsSettled | LinkFact | SourceCommand | { readonly type: string }

interface Brief {
  readonly type: string
  readonly source?: string
  /** Of the only event, or the first of many. */
  readonly id?: string
  readonly of?: string
  readonly count?: number
  readonly bytes?: number
  readonly settled?: readonly { source: string; count: number; bytes: number; results: object }[]
}

export const briefOf = (event: Told): Brief | Told => {
  if ('delivery' in event) {
    const { event: arrived, bytes } = event.delivery
    return { type: event.type, source: event.source, id: arrived.id, of: arrived.type, bytes }
  }
  if ('deliveries' in event) {
    const { type, deliveries } = event
    const bytes = deliveries.reduce((sum, each) => sum + each.bytes, 0)
    return { type, count: deliveries.length, bytes, id: deliveries[0]?.event.id ?? '' }
  }
  if ('settlements' in event) {
    return { type: event.type, count: event.settlements.length, bytes: event.bytes }
  }
  if ('batches' in event) {
    const settled = event.batches.map(({ source, settlements, bytes, results }) => ({
      source,
      count: settlements.length,
      bytes,
      results,
    }))
    return { type: event.type, settled }
  }
  return event
}

const settlements = (count: number): readonly Settlement[] =>
  Array.from({ length: count }, (_, i) => ({ receipt: i, outcome: 'ack' }))

const delivery = (bytes: number, { id = '', of = '', source = '' }: Brief): Delivery => ({
  receipt: 0,
  bytes,
  redelivered: false,
  event: { id, type: of, source, data: undefined, kind: 'queue.event', via: source, identified: true },
})

/** The opposite of `briefOf`, as far as machines can tell. */
export const eventOf = (brief: Brief): { readonly type: string } => {
  const { type, source, count, bytes = 0, settled } = brief
  if (settled !== undefined) {
    const batches = settled.map(({ count: many, ...batch }) => ({ ...batch, settlements: settlements(many) }))
    return { type, batches } as { type: string }
  }
  if (type === 'link.delivered' && count !== undefined) {
    const deliveries = Array.from({ length: count }, (_, i) => delivery(i === 0 ? bytes : 0, brief))
    return { type, deliveries } as { type: string }
  }
  if (type === 'source.settle' && count !== undefined) {
    return { type, settlements: settlements(count), bytes } as { type: string }
  }
  if (brief.of !== undefined) return { type, source, delivery: delivery(bytes, brief) } as { type: string }
  return brief
}
