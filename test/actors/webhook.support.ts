import { createHmac } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { WebhookOptions } from '../../actors/webhook/options.ts'
import { createWebhookServer, type WebhookServer } from '../../actors/webhook/server.ts'
import { hmac } from '../../actors/webhook/signatures/hmac.ts'
import { createWebhookDriver } from '../../actors/webhook.ts'
import type { Delivery, DriverHost, Link } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import { identityOf } from '../../machines/event.ts'
import type { Acceptance, Arrival, Intake } from '../../machines/journal.ts'

/** A webhook source over real sockets, and a journal that only remembers. */

export const secret = 'a secret of at least twenty-four bytes'
export const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
export const sign = (body: string | Buffer): string => createHmac('sha256', secret).update(body).digest('hex')

export interface RememberingIntake extends Pick<Intake, 'accept'> {
  readonly arrivals: Arrival[]
  /** What stands before each acceptance; reject to be a journal that is down. */
  before(): Promise<void>
}

export const createRememberingIntake = (): RememberingIntake => {
  const known = new Set<string>()
  const intake: RememberingIntake = {
    arrivals: [],
    before: async () => {},
    async accept(arrival): Promise<Acceptance> {
      await intake.before()
      const identity = identityOf(arrival.event)
      if (known.has(identity)) return { status: 'duplicate' }
      known.add(identity)
      intake.arrivals.push(arrival)
      return { status: 'accepted', row: { seq: String(known.size), lease: 'this', attempts: 0 } }
    },
  }
  return intake
}

export const journalDown = async (): Promise<never> => {
  throw new ControllerError('JOURNAL_UNAVAILABLE', 'The journal did not answer.')
}

export interface Started {
  /** Name of the source. */
  readonly source: string
  readonly link: Link
  readonly server: WebhookServer
  /** The journal of this source, unless the test brought its own. */
  readonly intake: RememberingIntake
  readonly batches: (readonly Delivery[])[]
  readonly deliveries: () => readonly Delivery[]
  readonly refusals: Map<string, number>
  readonly port: number
  /** A signed POST of JSON, unless told otherwise. */
  post(body: string, init?: { headers?: Record<string, string>; path?: string; method?: string }): Promise<Response>
  /** One connection that says exactly this; what it was answered when it was closed or `enough` was seen. */
  raw(request: string | Buffer, enough?: RegExp): Promise<string>
}

export type StartOptions = Partial<WebhookOptions> & {
  readonly credit?: number
  readonly creditBytes?: number
  readonly headersTimeoutMs?: number
  readonly server?: WebhookServer
  readonly journal?: Pick<Intake, 'accept'>
  readonly consume?: boolean
  readonly source?: string
}

export const defaults: WebhookOptions = {
  path: '/hooks/test',
  method: 'POST',
  signature: hmac(secret, { header: 'x-signature' }),
  type: 'test.happened',
  reply: 'accepted',
  maxBodyBytes: 1_048_576,
  timeoutMs: 10_000,
}

export const startWebhook = async (options: StartOptions = {}): Promise<Started> => {
  const {
    credit = 32,
    creditBytes = 64 * 1_048_576,
    headersTimeoutMs,
    consume = true,
    source = 'test',
    ...rest
  } = options
  const given = headersTimeoutMs === undefined ? {} : { headersTimeoutMs }
  const server = options.server ?? createWebhookServer({ host: '127.0.0.1', port: 0, log: silent, ...given })
  const intake = createRememberingIntake()
  const batches: (readonly Delivery[])[] = []
  const refusals = new Map<string, number>()
  const host: DriverHost = {
    source,
    credit: { events: credit, bytes: creditBytes },
    log: silent,
    deliver: (batch) => void batches.push(batch),
    lost: (error) => {
      throw error
    },
    gauge: () => {},
    count: (_name, labels = {}) => {
      const { reason = '' } = labels
      refusals.set(reason, (refusals.get(reason) ?? 0) + 1)
    },
  }
  const resolved: WebhookOptions = { ...defaults, ...rest }
  const link = await createWebhookDriver(resolved, { server, intake: options.journal ?? intake }).connect(host)
  if (consume) await link.consume()
  const port = server.address()?.port as number
  return {
    source,
    link,
    server,
    intake,
    batches,
    refusals,
    port,
    deliveries: () => batches.flat(),
    post: async (body, { headers = {}, path = resolved.path, method = resolved.method } = {}) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        body,
        headers: { 'content-type': 'application/json', 'x-signature': sign(body), ...headers },
      })
      await handedOver()
      return response
    },
    raw: async (request, enough) => {
      const answer = await talk(port, request, enough)
      await handedOver()
      return answer
    },
  }
}

/** What was answered is handed over a turn later. */
const handedOver = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

export const open = (port: number): Socket => connect(port, '127.0.0.1').on('error', () => {})

const talk = (port: number, request: string | Buffer, enough?: RegExp): Promise<string> =>
  new Promise((resolve) => {
    const socket = open(port)
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
      if (enough?.test(answer)) socket.destroy()
    })
    socket.on('close', () => resolve(answer))
    socket.write(request)
  })

/** The head of a signed request with this body, further header lines as given. */
export const head = (body: string, ...lines: readonly string[]): string =>
  [
    `POST ${defaults.path} HTTP/1.1`,
    'Host: localhost',
    'Content-Type: application/json',
    `X-Signature: ${sign(body)}`,
    ...lines,
    '',
    '',
  ].join('\r\n')

export const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
