/**
 * First in, first out, at the same cost however many wait; `shift` of a long array moves all of it. A class, because
 * there is one for each lane.
 */
export class Fifo<Item> {
  #items: (Item | undefined)[] = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  push(item: Item): void {
    this.#items.push(item)
  }

  first(): Item | undefined {
    return this.#items[this.#head]
  }

  take(): Item | undefined {
    const item = this.#items[this.#head]
    if (this.size === 0) return undefined
    this.#items[this.#head++] = undefined
    if (this.size === 0 || (this.#head > 1_024 && this.#head * 2 > this.#items.length)) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  all(): readonly Item[] {
    return this.#items.slice(this.#head) as Item[]
  }

  keep(stays: (item: Item) => boolean): void {
    this.#items = this.all().filter(stays)
    this.#head = 0
  }
}
