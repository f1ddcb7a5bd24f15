/** The newest items, bounded in number and in the sum of their sizes. */
export interface Ring<Item> {
  push(item: Item): void
  /** Oldest first. */
  items(): readonly Item[]
}

export const createRing = <Item>(most: number, mostSize: number, sizeOf: (item: Item) => number): Ring<Item> => {
  const slots: (Item | undefined)[] = Array.from({ length: most })
  let first = 0
  let count = 0
  let size = 0

  const dropOldest = (): void => {
    size -= sizeOf(slots[first] as Item)
    slots[first] = undefined
    first = (first + 1) % most
    count--
  }
  return {
    push: (item) => {
      if (count === most) dropOldest()
      slots[(first + count) % most] = item
      count++
      size += sizeOf(item)
      while (size > mostSize && count > 1) dropOldest()
    },
    items: () => Array.from({ length: count }, (_, i) => slots[(first + i) % most] as Item),
  }
}
