import { randomUUID } from 'node:crypto'
import type { ConfirmChannel, Options } from 'amqplib'
import { ControllerError } from '../../machines/errors.ts'
import { type Connection, openConnection } from './connection.ts'
import { rabbitmqError } from './errors.ts'

/** Properties of a message, as AMQP names them; `messageId` is made up where there is none. */
export type RabbitmqProperties = Pick<
  Options.Publish,
  'appId' | 'contentType' | 'correlationId' | 'headers' | 'messageId' | 'timestamp' | 'type'
>

export interface RabbitmqPublisher {
  /**
   * Resolves when the broker has the message safely in a queue. The exchange `''` leads to the queue that the routing
   * key names.
   *
   * @throws ControllerError SOURCE_NOT_FOUND when the exchange is missing, or no queue takes the message
   */
  publish(
    exchange: string,
    routingKey: string,
    body: string | Uint8Array,
    properties?: RabbitmqProperties,
  ): Promise<void>
  close(): Promise<void>
}

interface Line {
  readonly connection: Connection
  readonly channel: ConfirmChannel
  /** Ids of messages that came back; the broker says so before it confirms them. */
  readonly returned: Set<string>
}

/**
 * Sends messages to the queues that a source listens to: for `koksmat-controller send`, and for tests.
 *
 * It has a connection of its own, opened with the first message: a broker short of memory or disk blocks connections
 * that publish, and would block acks with them.
 */
export const createRabbitmqPublisher = (url: string): RabbitmqPublisher => {
  let opening: Promise<Line> | undefined

  const open = async (): Promise<Line> => {
    const connection = await openConnection({ url, heartbeatSeconds: 5, connectTimeoutMs: 10_000 })
    const channel = await connection.within(connection.model.createConfirmChannel())
    const returned = new Set<string>()
    // One listener for each message under way.
    channel.setMaxListeners(0)
    channel.on('error', () => {})
    channel.on('return', ({ properties }) => returned.add(String(properties.messageId)))
    channel.on('close', () => {
      opening = undefined
      void connection.close()
    })
    return { connection, channel, returned }
  }

  const line = (): Promise<Line> => {
    if (opening !== undefined) return opening
    const attempt = open()
    opening = attempt
    attempt.catch(() => {
      opening = undefined
    })
    return attempt
  }

  return {
    async publish(exchange, routingKey, body, properties = {}) {
      const { channel, returned } = await line()
      const messageId = properties.messageId ?? randomUUID()
      const failed = await new Promise<unknown>((resolve) => {
        const options = { contentType: 'application/json', ...properties, messageId, persistent: true, mandatory: true }
        channel.once('error', resolve)
        channel.publish(exchange, routingKey, Buffer.from(body), options, (error: unknown) => {
          channel.off('error', resolve)
          resolve(error)
        })
      })
      if (failed) throw rabbitmqError(failed, 'SOURCE_CONNECTION_LOST')
      if (!returned.delete(messageId)) return
      throw new ControllerError(
        'SOURCE_NOT_FOUND',
        `RabbitMQ: no queue takes "${routingKey}" of exchange "${exchange}".`,
      )
    },
    async close() {
      const opened = await opening?.catch(() => undefined)
      opening = undefined
      await opened?.connection.close()
    },
  }
}
