import type { Channel } from 'amqplib'
import type { Driver } from '../machines/driver.ts'
import { openConnection } from './rabbitmq/connection.ts'
import { rabbitmqError } from './rabbitmq/errors.ts'
import { createLink } from './rabbitmq/link.ts'
import type { RabbitmqOptions } from './rabbitmq/options.ts'

export type { RabbitmqOptions } from './rabbitmq/options.ts'

/**
 * The RabbitMQ driver: one connection, one channel, one consumer of one queue, at least once.
 *
 * Messages stay unacknowledged until they are settled, so whatever ends the connection puts them back into the queue.
 * A delivery that nobody settles within the broker's `consumer_timeout` (30 min by default) costs the channel: work that
 * takes longer belongs into the journal first.
 *
 * `connect` finds or declares the queue; `consume` starts the consumer; `link.ts` holds the life in between.
 *
 * @throws ControllerError from `connect` and `consume`: SOURCE_NOT_FOUND when the queue is missing, SOURCE_UNUSABLE when
 *   it is there and not as declared, SOURCE_TIMED_OUT when nobody answers in `connectTimeoutMs`, otherwise
 *   SOURCE_CONNECT_FAILED
 */
export const createRabbitmqDriver = (options: RabbitmqOptions): Driver => {
  const receipts = { last: 0 }
  return {
    kind: 'queue.event',
    async connect(host) {
      const connection = await openConnection(options)
      try {
        const channel = await connection.within(openChannel(connection.model.createChannel(), options))
        return createLink(connection, channel, options, host, receipts)
      } catch (thrown) {
        await connection.close()
        throw rabbitmqError(thrown, 'SOURCE_CONNECT_FAILED')
      }
    },
  }
}

/**
 * From RabbitMQ 4 on a quorum queue drops a message after 20 deliveries, and what a shutdown or a crash gives back is one.
 * Failed attempts are counted by the journal.
 */
const neverDropped = { 'x-delivery-limit': 1_000_000 }

const openChannel = async (opening: Promise<Channel>, { queue, declare }: RabbitmqOptions): Promise<Channel> => {
  const channel = await opening
  // What goes wrong is told by the command that failed; without a listener it would end the process as well.
  channel.on('error', () => {})
  if (declare === undefined) {
    await channel.checkQueue(queue)
    return channel
  }
  const { type, durable, exchange, bindings, deadLetterExchange } = declare
  if (exchange !== undefined) await channel.assertExchange(exchange.name, exchange.type, { durable: exchange.durable })
  await channel.assertQueue(queue, {
    durable,
    arguments: { ...(type === 'quorum' ? neverDropped : {}), ...declare.arguments, 'x-queue-type': type },
    ...(deadLetterExchange === undefined ? {} : { deadLetterExchange }),
  })
  if (exchange === undefined) return channel
  for (const routingKey of bindings ?? []) await channel.bindQueue(queue, exchange.name, routingKey)
  return channel
}
