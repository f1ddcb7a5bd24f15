/**
 * Items in the order they came, any of which can be taken out at once; one list at a time.
 *
 * For what comes and goes with each event, instead of a `Set` or a `Map` of objects. V8 links each table that a Set has
 * outgrown to its next one, and leaves in it what it held. Once such a table has become old, all that follow survive
 * every minor collection, and with them most of what was ever in the Set, until the next full one.
 */
export interface Linked<Item> {
  previous: Item | undefined
  next: Item | undefined
}

export class LinkedList<Item extends Linked<Item>> {
  #first: Item | undefined
  #last: Item | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  has(item: Item): boolean {
    return item.previous !== undefined || this.#first === item
  }

  add(item: Item): void {
    if (this.has(item)) return
    if (this.#last === undefined) this.#first = item
    else this.#last.next = item
    item.previous = this.#last
    this.#last = item
    this.#size += 1
  }

  /** What is taken out points nowhere any more: an old item must not keep the ones after it. */
  delete(item: Item): boolean {
    if (!this.has(item)) return false
    const { previous, next } = item
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    item.previous = undefined
    item.next = undefined
    this.#size -= 1
    return true
  }

  /** As they are now. */
  all(): readonly Item[] {
    const items: Item[] = []
    for (let item = this.#first; item !== undefined; item = item.next) items.push(item)
    return items
  }
}
