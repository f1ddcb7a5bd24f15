import { createPrefix } from '../../machines/prefix.ts'

/** What becomes of a message: `ack` it, put it back at the front (`release`), or hand it to the dead letters. */
export type Verdict = 'ack' | 'release' | 'deadLetter'

/**
 * Acknowledges messages of one channel in as few frames as are safe: one cumulative ack for what completes the prefix,
 * single ones for the rest. A tag is named once in its life, because a second time costs the channel and everything on it.
 */
export interface Acks {
  /** How many tags are added and not settled. */
  readonly open: number
  /** Every message of the channel, in the order of its tags. */
  add(tag: number): void
  /** A tag that is not open is left alone. */
  settle(settled: readonly (readonly [tag: number, verdict: Verdict])[]): void
}

/** Of an amqplib channel. It takes messages, and looks at nothing of them but the tag. */
export interface Acknowledging {
  ack(message: Tagged, allUpTo?: boolean): void
  nack(message: Tagged, allUpTo?: boolean, requeue?: boolean): void
}

export interface Tagged {
  readonly fields: { readonly deliveryTag: number }
}

const tagged = (deliveryTag: number): Tagged => ({ fields: { deliveryTag } })

export const createAcks = (channel: Acknowledging): Acks => {
  const prefix = createPrefix()
  let covered = 0

  return {
    get open() {
      return prefix.open
    },
    add: prefix.add,
    settle(settled) {
      const acked: number[] = []
      for (const [tag, verdict] of settled) {
        if (!prefix.has(tag)) continue
        covered = prefix.settle(tag) ?? covered
        if (verdict === 'ack') acked.push(tag)
        else channel.nack(tagged(tag), false, verdict === 'release')
      }
      let last = 0
      for (const tag of acked) {
        if (tag > covered) channel.ack(tagged(tag))
        else if (tag > last) last = tag
      }
      // The highest of this call and not `covered` itself, whose tag may have been named before.
      if (last > 0) channel.ack(tagged(last), true)
    },
  }
}
