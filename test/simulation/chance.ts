/** Random numbers that a seed repeats (mulberry32). */
export interface Chance {
  /** In [0, 1). */
  next(): number
  /** An integer from `least` to `most`. */
  between(least: number, most: number): number
  is(probability: number): boolean
  pick<Item>(items: readonly Item[]): Item
}

export const createChance = (seed: number): Chance => {
  let state = (seed * 2_654_435_761) >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const between = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1))
  return {
    next,
    between,
    is: (probability) => next() < probability,
    pick: (items) => items[between(0, items.length - 1)] as (typeof items)[number],
  }
}
