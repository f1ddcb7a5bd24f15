import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type ControllerError, errorCodes } from '../../machines/errors.ts'

/**
 * What a request is answered with, as data; `sendReply` is the one place that writes it.
 *
 * Every error is a problem of RFC 9457 without a stack or a word from inside. `because` goes to the log and the metric
 * and never to the sender.
 */
export interface Reply {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly because?: string
}

interface ProblemDetails {
  readonly detail?: string
  readonly code?: string
  readonly headers?: Readonly<Record<string, string>>
}

const retryAfterSeconds = 5
const unreadMs = 8_000
const closing = new WeakSet<Duplex>()

/** How long a sender that was refused before the end of its request may go on sending before it is cut. */
export const lingerMs = 500
/** One that was too slow has had its time. */
const slowLingerMs = 100
/** Of a body that nobody wants one piece is read each time. */
const sipMs = 5

export const json = (status: number, value: unknown): Reply => ({
  status,
  body: JSON.stringify(value),
  headers: { 'content-type': 'application/json' },
})

export const problem = (status: number, because: string, { detail, code, headers }: ProblemDetails = {}): Reply => ({
  status,
  body: JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail, code }),
  headers: { 'content-type': 'application/problem+json', ...headers },
  because,
})

/** 503: the request was not taken, nothing of it is kept, and it may come again soon, on a new connection. */
export const unavailable = (because: string): Reply =>
  problem(503, because, { headers: { 'retry-after': String(retryAfterSeconds), connection: 'close' } })

/** 401, the same one whatever was wrong. */
export const unauthorized = (challenge: string, because: string): Reply =>
  problem(401, because, {
    code: 'SIGNATURE_INVALID',
    detail: errorCodes.SIGNATURE_INVALID,
    headers: { 'www-authenticate': challenge },
  })

/** 400: signed well, but not what it says it is. */
export const unreadable = (error: ControllerError): Reply =>
  problem(400, 'payload', { code: error.code, detail: error.message })

export const tooLarge = (maxBytes: number): Reply =>
  problem(413, 'tooLarge', {
    code: 'EVENT_TOO_LARGE',
    detail: `The body is larger than ${maxBytes} bytes.`,
    headers: { connection: 'close' },
  })

export const tooSlow = (): Reply => problem(408, 'slow', { headers: { connection: 'close' } })

export const tooMany = (waitSeconds: number): Reply =>
  problem(429, 'rate', {
    code: 'LIMIT_EXCEEDED',
    headers: { 'retry-after': String(Math.max(1, Math.ceil(waitSeconds))) },
  })

/** 500: a fault of ours, of which the sender learns nothing else. */
export const bug = (): Reply => problem(500, 'bug')

/**
 * Answers a request once. A reply before the end of the body closes the connection, but lets the sender finish for a
 * moment: closing at once would reset the connection before the sender has read why. A sender that does not read its
 * answer is cut.
 */
export const sendReply = (request: IncomingMessage, response: ServerResponse, reply: Reply, lastOne = false): void => {
  if (response.headersSent || response.destroyed) return
  const unread = !request.complete && announcesBody(request)
  const close = lastOne || unread || reply.headers['connection'] === 'close'
  if (close) closing.add(request.socket)
  response.writeHead(reply.status, {
    ...reply.headers,
    'content-length': Buffer.byteLength(reply.body),
    'cache-control': 'no-store',
    ...(close ? { connection: 'close' } : {}),
  })
  if (unread) finishAfterBody(request, response, reply)
  else response.end(reply.body)
  if (response.writableLength > 0) cutUnlessFinished(response)
}

/** Whether the last answer of a connection has been given: what comes after it is not a request any more. */
export const isClosing = (socket: Duplex): boolean => closing.has(socket)

const announcesBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'

const finishAfterBody = (request: IncomingMessage, response: ServerResponse, { status, body }: Reply): void => {
  response.write(body)
  const finish = (): void => {
    clearTimeout(timer)
    clearInterval(sips)
    response.end()
  }
  // What is thrown away would otherwise fill the memory faster than it is collected.
  request.on('data', () => void request.pause())
  const sips = setInterval(() => void request.resume(), sipMs)
  const timer = setTimeout(finish, status === 408 ? slowLingerMs : lingerMs)
  request.once('end', finish).once('close', finish).on('error', finish)
  request.resume()
}

const cutUnlessFinished = (response: ServerResponse): void => {
  const timer = setTimeout(() => response.destroy(), unreadMs)
  response.once('close', () => clearTimeout(timer))
}
