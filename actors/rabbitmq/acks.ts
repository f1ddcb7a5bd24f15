import type { Channel, ConsumeMessage } from 'amqplib'
import { createPrefix } from '../../machines/prefix.ts'

/** What becomes of a message: `ack` it, put it back at the front (`release`), or hand it to the dead letters. */
export type Verdict = 'ack' | 'release' | 'deadLetter'

/**
 * Acknowledges messages of one channel in as few frames as are safe: one cumulative ack for what completes the prefix,
 * single ones for the rest. A tag is named once in its life, because a second time costs the channel and everything on it.
 */
export interface Acks {
  /** Every message of the channel, in the order of its tags. */
  add(message: ConsumeMessage): void
  /** Messages added and not settled before. */
  settle(settled: readonly (readonly [message: ConsumeMessage, verdict: Verdict])[]): void
}

export const createAcks = (channel: Pick<Channel, 'ack' | 'nack'>): Acks => {
  const prefix = createPrefix()
  let covered = 0

  return {
    add: ({ fields }) => prefix.add(fields.deliveryTag),
    settle(settled) {
      const acked: ConsumeMessage[] = []
      for (const [message, verdict] of settled) {
        covered = prefix.settle(message.fields.deliveryTag) ?? covered
        if (verdict === 'ack') acked.push(message)
        else channel.nack(message, false, verdict === 'release')
      }
      let last: ConsumeMessage | undefined
      for (const message of acked) {
        const { deliveryTag } = message.fields
        if (deliveryTag > covered) channel.ack(message)
        else if (last === undefined || deliveryTag > last.fields.deliveryTag) last = message
      }
      // The highest of this call and not `covered` itself, whose tag may have been named before.
      if (last !== undefined) channel.ack(last, true)
    },
  }
}
