import { type ChannelModel, connect, type SocketOptions } from 'amqplib'
import { ControllerError } from '../../machines/errors.ts'
import { settledWithin } from '../within.ts'
import { rabbitmqError } from './errors.ts'
import type { RabbitmqOptions } from './options.ts'

/** A connection that can be closed whatever state it is in. */
export interface Connection {
  readonly model: ChannelModel
  /** Waits for an answer of the broker, no longer than for connecting. */
  within<T>(answer: Promise<T>): Promise<T>
  /** Says goodbye where somebody listens, then destroys the socket. Legal twice. */
  close(): Promise<void>
}

export type ConnectionOptions = Pick<RabbitmqOptions, 'url' | 'heartbeatSeconds' | 'connectTimeoutMs'>

const goodbyeMs = 1_500

/**
 * The library ends its sockets and never destroys them, so one whose peer is silent would stay open for minutes. Node
 * destroys a socket when its `signal` says so.
 *
 * @throws ControllerError SOURCE_CONNECT_FAILED or SOURCE_TIMED_OUT
 */
export const openConnection = async (options: ConnectionOptions): Promise<Connection> => {
  const socket = new AbortController()
  const socketOptions: SocketOptions & { readonly signal: AbortSignal } = { noDelay: true, signal: socket.signal }

  const within = async <T>(answer: Promise<T>): Promise<T> => {
    if (await settledWithin(answer, options.connectTimeoutMs)) return answer
    socket.abort()
    throw new ControllerError('SOURCE_TIMED_OUT', `RabbitMQ did not answer within ${options.connectTimeoutMs} ms.`)
  }

  try {
    const model = await within(connect(addressOf(options), socketOptions))
    // Whoever cares adds a listener; without one an error would end the process.
    model.on('error', () => {})
    const gone = new Promise<void>((resolve) => {
      model.once('close', () => resolve())
    })
    return {
      model,
      within,
      async close() {
        // A goodbye said from within an `error` event is never answered; the `close` that follows tells.
        await settledWithin(Promise.race([model.close(), gone]), goodbyeMs)
        socket.abort()
      },
    }
  } catch (thrown) {
    socket.abort()
    throw rabbitmqError(thrown, 'SOURCE_CONNECT_FAILED')
  }
}

/** The library takes the heartbeat from the address only. */
const addressOf = ({ url, heartbeatSeconds }: ConnectionOptions): string => {
  const address = new URL(url)
  if (!address.searchParams.has('heartbeat')) address.searchParams.set('heartbeat', String(heartbeatSeconds))
  return address.href
}
