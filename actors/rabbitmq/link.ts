import type { Channel, ConsumeMessage } from 'amqplib'
import type { Delivery, DriverHost, Link, Settlement } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import { settledWithin } from '../within.ts'
import { createAcks, type Verdict } from './acks.ts'
import type { Connection } from './connection.ts'
import { rabbitmqError } from './errors.ts'
import { createDecoder } from './message.ts'
import type { RabbitmqOptions } from './options.ts'

/** The receipts of a driver: those of a link are its delivery tags, counted on from the last one of the link before. */
export interface Receipts {
  last: number
}

/**
 * One link: one connection with one channel, from connect to lost or disconnect.
 *
 * ```
 *   connected ──consume──▸ consuming ◂──resume/pause──▸ paused ──cancel──▸ cancelled ──disconnect──▸ over
 *                              └────────────── connection or channel gone ──────────────────────────▸ over, lost
 * ```
 *
 * The stage is what was asked for; `steer` brings the broker's consumer there, one command at a time, however quickly
 * the wish changes. The channel lives on without a consumer, so that acks of what was delivered still work.
 *
 * The broker counts the prefetch by consumer, and one that begins after a pause gets a whole window next to what is
 * unsettled of the one before. So messages above the credit are held here, and no consumer begins while some are. A
 * prefetch is for consumers that begin after it: when the credit changes, another one takes over.
 */
export const createLink = (
  connection: Connection,
  channel: Channel,
  options: RabbitmqOptions,
  host: DriverHost,
  receipts: Receipts,
): Link => {
  const acks = createAcks(channel)
  const decode = createDecoder(host.source, options)
  const verdictOf = { ack: 'ack', release: 'release', reject: options.deadLetter ? 'deadLetter' : 'ack' } as const
  const before = receipts.last
  const held: ConsumeMessage[] = []
  let stage: 'connected' | 'consuming' | 'paused' | 'cancelled' | 'over' = 'connected'
  let consumer: { readonly tag: string; readonly window: number } | undefined
  let steering: Promise<void> | undefined
  let handing = false
  let starting = false
  let fault: ControllerError | undefined
  let closing: Promise<void> | undefined

  // Intake

  const take = (message: ConsumeMessage | null): void => {
    if (stage === 'over') return
    if (message === null) {
      lose(consumerCancelled(options.queue))
      return
    }
    acks.add(message.fields.deliveryTag)
    held.push(message)
    handOverSoon()
  }

  /** In batches with a turn of the event loop between them, in which the acks of the one before go out. */
  const handOverSoon = (): void => {
    if (handing) return
    handing = true
    setImmediate(handOver)
  }

  const handOver = (): void => {
    handing = false
    if (stage !== 'consuming') return
    const batch = held.splice(0, Math.min(batchSize, host.credit.events - unsettled()))
    if (batch.length > 0) host.deliver(batch.map(deliveryOf))
    if (held.length > 0 && unsettled() < host.credit.events) handOverSoon()
    steer()
  }

  const deliveryOf = (message: ConsumeMessage): Delivery => {
    receipts.last = before + message.fields.deliveryTag
    return decode(message, receipts.last)
  }

  /** Of what was handed over. */
  const unsettled = (): number => acks.open - held.length

  // The consumer

  const misled = (): boolean =>
    consumer === undefined
      ? stage === 'consuming' && held.length === 0
      : stage === 'paused' || stage === 'cancelled' || (stage === 'consuming' && consumer.window !== host.credit.events)

  const steer = (): void => {
    if (steering === undefined && misled()) steering = turn()
  }

  const turn = async (): Promise<void> => {
    try {
      do await (consumer === undefined ? begin() : end(consumer.tag))
      while (misled())
    } catch (thrown) {
      lose(rabbitmqError(thrown, 'SOURCE_CONNECTION_LOST'))
    }
    steering = undefined
  }

  const begin = async (): Promise<void> => {
    const window = host.credit.events
    await channel.prefetch(window)
    consumer = { tag: (await channel.consume(options.queue, take)).consumerTag, window }
  }

  const end = async (tag: string): Promise<void> => {
    await channel.cancel(tag)
    consumer = undefined
  }

  // Settling

  const settle = (batch: readonly Settlement[]): void => {
    tell(batch.map(({ receipt, outcome }) => [receipt - before, verdictOf[outcome]]))
    if (held.length > 0) handOverSoon()
  }

  /** A channel that died a moment ago refuses; its messages are back in the queue, and its end is told by its events. */
  const tell = (settled: readonly (readonly [tag: number, verdict: Verdict])[]): void => {
    if (stage === 'over') return
    try {
      acks.settle(settled)
    } catch (thrown) {
      host.log.debug({ err: thrown }, 'rabbitmq channel is gone; its messages come again')
    }
  }

  // The end

  /** While the consumer is started for the first time, it is `consume` that fails. */
  const lose = (error: ControllerError): void => {
    if (stage === 'over') return
    stage = 'over'
    fault = error
    closing = connection.close()
    if (!starting) host.lost(error)
  }

  const lostBy = (thrown: unknown): void =>
    lose(rabbitmqError(thrown ?? new Error('the connection was closed'), 'SOURCE_CONNECTION_LOST'))

  connection.model.on('error', lostBy)
  connection.model.on('close', lostBy)
  channel.on('error', lostBy)
  channel.on('close', () => lostBy(new Error('the channel was closed')))

  /** Channel first: the connection's goodbye may overtake acks of the channel. */
  const close = async (): Promise<void> => {
    await settledWithin(channel.close(), lastAcksMs)
    await connection.close()
  }

  return {
    async consume() {
      if (stage !== 'connected') return
      stage = 'consuming'
      starting = true
      steer()
      try {
        await connection.within(steering ?? Promise.resolve())
        if (fault !== undefined) throw fault
      } catch (thrown) {
        lose(rabbitmqError(thrown, 'SOURCE_CONNECT_FAILED'))
        throw thrown
      } finally {
        starting = false
      }
    },
    settle,
    pause() {
      if (stage !== 'consuming') return
      stage = 'paused'
      steer()
    },
    resume() {
      if (stage !== 'paused') return
      stage = 'consuming'
      handOverSoon()
    },
    creditChanged: handOverSoon,
    async cancel() {
      if (stage === 'over') return
      stage = 'cancelled'
      steer()
      await steering
      tell(held.splice(0).map(({ fields }) => [fields.deliveryTag, 'release']))
    },
    async disconnect() {
      stage = 'over'
      closing ??= close()
      await closing
    },
  }
}

const batchSize = 256
const lastAcksMs = 2_000

const consumerCancelled = (queue: string): ControllerError =>
  new ControllerError('SOURCE_NOT_FOUND', `RabbitMQ ended the consumer of queue "${queue}": the queue is gone.`)
