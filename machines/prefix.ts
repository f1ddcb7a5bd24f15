/**
 * Which positions of an ordered stream are settled without a gap: what a broker that commits a prefix (Kafka offsets,
 * AMQP `multiple` acks) may be told.
 *
 *     added    5 6 7   9 10        holes are the stream's own affair (compaction, transaction marks)
 *     settled  5 6       10
 *     prefix   ───▸ 6              settle(7) moves it to 8: everything added up to 8 is settled
 *
 * One structure lives as long as one assignment of the stream; a new assignment begins with a new one. Time is O(1)
 * amortised, memory grows with the open positions only, so one slow event costs nothing while others pass it.
 */
export interface Prefix {
  /** How many added positions are not settled. */
  readonly open: number
  /** Whether it was added and not settled. */
  has(position: number): boolean
  /** Takes a position into the stream. Positions are integers and only grow. */
  add(position: number): void
  /**
   * Settles a position. Returns the highest position up to which (inclusive) everything added is settled, if that grew;
   * otherwise, and for a position that is not open, `undefined`.
   */
  settle(position: number): number | undefined
}

export const createPrefix = (): Prefix => {
  // A Set keeps the order of insertion, and its iterator is live: it passes each position once, also later ones.
  const open = new Set<number>()
  let walk = open.values()
  let oldest: number | undefined
  let newest = 0

  return {
    get open() {
      return open.size
    },
    has: (position) => open.has(position),
    add(position) {
      open.add(position)
      newest = position
      if (oldest !== undefined) return
      walk = open.values()
      oldest = walk.next().value
    },
    settle(position) {
      if (!open.delete(position) || position !== oldest) return undefined
      oldest = walk.next().value
      return oldest === undefined ? newest : oldest - 1
    },
  }
}
