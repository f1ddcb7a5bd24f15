/**
 * Turns one call an item into few calls with many: a group forms while the group before it is under way. There is no
 * timer: a lone item goes at once, and under load groups grow by themselves until the flushing keeps up.
 *
 * `flush` gets the items of a group in their order and gives one result for each; when it rejects, all of them do.
 */
export const grouped = <Item, Result>(
  flush: (items: readonly Item[]) => Promise<readonly Result[]>,
  options: GroupOptions<Item>,
): Grouped<Item, Result> => {
  const {
    maxSize,
    maxWeight = Number.POSITIVE_INFINITY,
    weightOf = () => 0,
    first = 'next group',
    onIdle = nothing,
  } = options
  let waiting: Waiting<Item, Result>[] = []
  let underWay: Promise<void> | undefined

  const sizeOf = (items: readonly Waiting<Item, Result>[]): number => {
    let weight = 0
    const end = items.slice(0, maxSize).findIndex(({ item }, index) => {
      weight += weightOf(item)
      return index > 0 && weight > maxWeight
    })
    return end < 0 ? maxSize : end
  }

  const next = (): readonly Waiting<Item, Result>[] => {
    const size = sizeOf(waiting)
    const group = waiting.slice(0, size)
    waiting = waiting.slice(size)
    return group
  }

  const flushAll = async (): Promise<void> => {
    await turn()
    let tell = nothing
    while (waiting.length > 0) {
      const flushed = flushGroup(flush, next())
      const told = turn().then(tell)
      tell = await flushed
      await told
      if (first === 'results') {
        const heard = nextTick()
        tell()
        tell = nothing
        await heard
      }
    }
    // At once: whoever hears of it may add.
    underWay = undefined
    tell()
    onIdle()
  }

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject })
        underWay ??= flushAll()
      }),
    isUnderWay: () => underWay !== undefined,
    idle: async () => {
      while (underWay !== undefined) await underWay
    },
  }
}

export interface GroupOptions<Item> {
  /** Most items in a group. */
  readonly maxSize: number
  /** Most weight in a group; a heavier item is a group by itself. */
  readonly maxWeight?: number
  readonly weightOf?: (item: Item) => number
  /**
   * What comes first when a group has ended and others wait. `'next group'` (default): callers do much with their results,
   * which would keep it waiting. `'results'`: callers answer somebody else, who goes on meanwhile.
   */
  readonly first?: 'next group' | 'results'
  /** Called each time when no group is under way or waiting any more. */
  readonly onIdle?: () => void
}

export interface Grouped<Item, Result> {
  add(item: Item): Promise<Result>
  /** A group is under way or waiting. */
  isUnderWay(): boolean
  /** Resolves when no group is under way or waiting. */
  idle(): Promise<void>
}

interface Waiting<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/** Gives what tells the results. */
const flushGroup = async <Item, Result>(
  flush: (items: readonly Item[]) => Promise<readonly Result[]>,
  group: readonly Waiting<Item, Result>[],
): Promise<() => void> => {
  try {
    const results = await flush(group.map(({ item }) => item))
    return () => group.forEach(({ resolve }, index) => void resolve(results[index] as Result))
  } catch (thrown) {
    return () => group.forEach(({ reject }) => void reject(thrown))
  }
}

const nothing = (): void => undefined
/** Begun before results are told: over when callers have done what they do at once, before what that leads to in Node. */
const nextTick = (): Promise<void> => new Promise((resolve) => void process.nextTick(resolve))
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))
