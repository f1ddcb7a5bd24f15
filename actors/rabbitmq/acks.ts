import type { Channel, Message } from 'amqplib'
import { createPrefix } from '../../machines/prefix.ts'

/** What becomes of a message: `ack` it, put it back at the front (`release`), or hand it to the dead letters. */
export type Verdict = 'ack' | 'release' | 'deadLetter'

/**
 * Acknowledges messages of one channel, known by their tags, in as few frames as are safe: one cumulative ack for what
 * completes the prefix, single ones for the rest. A tag is named once in its life, because a second time costs the channel
 * and everything on it.
 */
export interface Acks {
  /** Every message of the channel, in the order of its tags. */
  add(tag: number): void
  /** Messages added and not settled before. */
  settle(settled: readonly (readonly [tag: number, verdict: Verdict])[]): void
}

export const createAcks = (channel: Pick<Channel, 'ack' | 'nack'>): Acks => {
  const prefix = createPrefix()
  let covered = 0

  return {
    add: prefix.add,
    settle(settled) {
      const acked: number[] = []
      for (const [tag, verdict] of settled) {
        covered = prefix.settle(tag) ?? covered
        if (verdict === 'ack') acked.push(tag)
        else channel.nack(messageOf(tag), false, verdict === 'release')
      }
      let last = 0
      for (const tag of acked) {
        if (tag > covered) channel.ack(messageOf(tag))
        else if (tag > last) last = tag
      }
      // The highest of this call and not `covered` itself, whose tag may have been named before.
      if (last > 0) channel.ack(messageOf(last), true)
    },
  }
}

/** All that amqplib reads of a message to settle it. */
const messageOf = (deliveryTag: number): Message => ({ fields: { deliveryTag } }) as Message
