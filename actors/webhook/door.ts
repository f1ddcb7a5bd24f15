import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Delivery, DriverHost, JournalRow, Settlement } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { Acceptance, Arrival, Intake } from '../../machines/journal.ts'
import { readArrival } from './arrival.ts'
import { createBodyReader } from './body.ts'
import { createInFlight } from './inFlight.ts'
import type { WebhookOptions } from './options.ts'
import { createTokenBucket } from './rate.ts'
import { json, type Reply, sendReply, tooMany, unauthorized, unavailable, unreadable } from './replies.ts'
import { settledReply } from './settledReply.ts'

/**
 * The way of a request through one source:
 * state and credit → rate → head → body → signature → event → journal → answered, and handed over a turn later.
 *
 * Nothing of a request is parsed before its signature is good, nothing is handed over before it is durable, and no 2xx
 * is said before that either. A step that refuses gives the reply.
 */
export interface Door {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
  settle(batch: readonly Settlement[]): void
  open(): void
  pause(isPaused: boolean): void
  /** Refuses from now on; resolves when nothing is on its way in any more. Bodies may arrive for `readingMs` longer. */
  shut(readingMs: number): Promise<void>
  /** Answers those that still wait for their handler: their event is durable. */
  dismiss(): void
}

export interface DoorShared {
  readonly intake: Pick<Intake, 'accept'>
  readonly isShedding: () => boolean
  readonly nextReceipt: () => number
  readonly nowSeconds: () => number
}

const acceptWithinMs = 2_000

export const createDoor = (options: WebhookOptions, host: DriverHost, shared: DoorShared): Door => {
  const { signature, maxBodyBytes, timeoutMs } = options
  const rules = { via: host.source, path: options.path, type: options.type, scheme: signature, idHeader: options.id }
  const reader = createBodyReader({
    maxBytes: maxBodyBytes,
    maxBytesTogether: () => host.credit.bytes,
    withinMs: timeoutMs,
  })
  const inFlight = createInFlight(
    () => host.credit.events,
    (batch) => host.deliver(batch),
  )
  const secondsToWait = options.rate === undefined ? () => 0 : createTokenBucket(options.rate)
  const waiting = new Set<() => void>()
  const onQuiet: (() => void)[] = []
  let isOpen = false
  let isPaused = false
  let isShut = false
  let comingIn = 0

  const refuseByState = (): Reply | undefined => {
    if (isShut) return unavailable('draining')
    if (!isOpen) return unavailable('connecting')
    if (isPaused) return unavailable('paused')
    if (inFlight.isFull()) return unavailable('credit')
    const seconds = secondsToWait(performance.now())
    return seconds > 0 ? tooMany(seconds) : undefined
  }

  const reportRefusal = ({ because, status }: Reply): void => {
    if (because === undefined) return
    host.count('webhook_refused', { reason: because })
    host.log.debug({ reason: because, status }, 'webhook refused')
  }

  const answer = (request: IncomingMessage, response: ServerResponse, reply: Reply): void =>
    sendReply(request, response, reply, isShut || shared.isShedding())

  const refuse = (request: IncomingMessage, response: ServerResponse, reply: Reply): void => {
    reportRefusal(reply)
    answer(request, response, reply)
  }

  const settled = (delivery: Delivery): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer)
        waiting.delete(dismissed)
      }
      const dismissed = (): void => {
        stop()
        resolve(json(202, { id: delivery.event.id, status: 'accepted' }))
      }
      const timer = setTimeout(dismissed, timeoutMs)
      waiting.add(dismissed)
      inFlight.deliver(delivery, (answer) => {
        stop()
        try {
          resolve(settledReply(delivery.event.id, answer))
        } catch (thrown) {
          reject(thrown)
        }
      })
    })

  const handOver = (request: IncomingMessage, response: ServerResponse, delivery: Delivery): Promise<void> | void => {
    if (options.reply === 'settled') return settled(delivery).then((reply) => answer(request, response, reply))
    inFlight.deliver(delivery)
    answer(request, response, json(202, { id: delivery.event.id }))
  }

  const deliveryOf = ({ event }: Arrival, row: JournalRow, bytes: number): Delivery => ({
    receipt: shared.nextReceipt(),
    event,
    bytes,
    redelivered: false,
    row,
  })

  const verified = (request: IncomingMessage, body: Buffer): Arrival | Reply => {
    const verdict = signature.verify(request.rawHeaders, body, shared.nowSeconds())
    if (!verdict.ok) return unauthorized(signature.challenge, verdict.reason)
    try {
      return readArrival(request, body, verdict.id, rules)
    } catch (thrown) {
      if (thrown instanceof ControllerError) return unreadable(thrown)
      throw thrown
    }
  }

  /** One function with the answers in it: a promise between would be one more turn of the whole group before its first answer. */
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refusal = refuseByState() ?? reader.refuse(request)
    if (refusal !== undefined) return refuse(request, response, refusal)
    comingIn += 1
    try {
      const body = await reader.read(request, response)
      if (body === 'gone') return
      if (!Buffer.isBuffer(body)) return refuse(request, response, body)
      const arrival = verified(request, body)
      if (!('event' in arrival)) return refuse(request, response, arrival)
      if (!inFlight.take()) return refuse(request, response, unavailable('credit'))
      let acceptance: Acceptance
      try {
        acceptance = await shared.intake.accept(arrival, acceptWithinMs)
      } catch (thrown) {
        inFlight.giveBack()
        return refuse(request, response, notAccepted(thrown))
      }
      if (acceptance.status === 'accepted') {
        return handOver(request, response, deliveryOf(arrival, acceptance.row, body.length))
      }
      inFlight.giveBack()
      answer(request, response, json(200, { id: arrival.event.id, duplicate: true }))
    } finally {
      comingIn -= 1
      if (comingIn === 0) onQuiet.splice(0).forEach((resolve) => void resolve())
    }
  }

  const quietWithin = async (readingMs: number): Promise<void> => {
    const interruption = setTimeout(reader.interrupt, readingMs)
    await new Promise<void>((resolve) => onQuiet.push(resolve))
    clearTimeout(interruption)
  }

  return {
    handle,
    settle: inFlight.settle,
    open() {
      isOpen = true
    },
    pause(paused) {
      isPaused = paused
    },
    async shut(readingMs) {
      isShut = true
      if (comingIn > 0) await quietWithin(readingMs)
      inFlight.flush()
    },
    dismiss: () => waiting.forEach((dismissed) => void dismissed()),
  }
}

/** @throws what is no answer to a sender */
const notAccepted = (thrown: unknown): Reply => {
  if (thrown instanceof ControllerError && thrown.code === 'JOURNAL_UNAVAILABLE') return unavailable('journal')
  throw thrown
}
