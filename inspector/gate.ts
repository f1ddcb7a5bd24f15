import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Role, Ticket } from './protocol.ts'

/**
 * Who may look, and who may act. What it is built against: DNS rebinding (a foreign name that resolves to us), requests
 * and sockets that a foreign page opens in the browser of an operator, and tokens that end up in logs and histories.
 *
 * - `Host`: exactly one; on a loopback address only loopback names; elsewhere any IP address, the bound name, and names
 *   that were allowed. Anything else is 421.
 * - `Origin`: none, or the very origin that was asked, by http or, behind a proxy, https. Anything else is 403.
 * - tokens: one that operates, one that reads. Where there is none everybody operates; that is for loopback only, and
 *   whoever opens the port sees to it. A session is a signed cookie, good for twelve hours, on every replica with the
 *   same token and over a restart; changing the token ends it.
 */
export interface GateOptions {
  /** The address the port is bound to. */
  readonly host: string
  readonly allowedHosts?: readonly string[]
  readonly operateToken?: string | undefined
  readonly readToken?: string | undefined
}

export interface Gate {
  /** 400, 403 or 421; `undefined` when it may go on. */
  refusal(request: IncomingMessage): number | undefined
  /** Who it is; `undefined` is a 401. */
  visitor(request: IncomingMessage): Visitor | undefined
  /** For a token that was posted; the value of the cookie. */
  signIn(token: unknown): { readonly cookie: string; readonly maxAgeSeconds: number } | undefined
  issueTicket(visitor: Visitor): Ticket
  readonly hasTokens: boolean
}

export interface Visitor {
  readonly role: Role
  /** Names the session; empty where no token is configured. */
  readonly session: string
  /** Epoch ms. */
  readonly until: number
}

export const cookieName = 'koksmat_inspector'
const sessionMs = 12 * 3_600_000
const ticketMs = 30_000
const mostTickets = 64

export const createGate = ({ host, allowedHosts = [], operateToken, readToken }: GateOptions): Gate => {
  const bound = host.toLowerCase()
  const allowed = new Set([bound, ...allowedHosts.map((name) => name.toLowerCase())])
  const isOurs = (name: string): boolean =>
    isLoopback(name) || allowed.has(name) || (!isLoopback(bound) && isIP(name) !== 0)
  const hasTokens = operateToken !== undefined || readToken !== undefined
  const key = digest(`koksmat inspector ${operateToken ?? ''} ${readToken ?? ''}`)
  const tickets = new Map<string, Visitor & { readonly goodUntil: number }>()

  const roleOf = (token: string): Role | undefined => {
    if (operateToken !== undefined && same(token, operateToken)) return 'operate'
    return readToken !== undefined && same(token, readToken) ? 'read' : undefined
  }
  const sign = (text: string): string => createHmac('sha256', key).update(text).digest('base64url')

  const fromCookie = (request: IncomingMessage): Visitor | undefined => {
    const cookies = (request.headers.cookie ?? '').split(/;\s*/)
    const value = cookies.find((each) => each.startsWith(`${cookieName}=`))?.slice(cookieName.length + 1)
    const [role, until = '', session = '', signature = ''] = (value ?? '').split('.')
    if ((role !== 'read' && role !== 'operate') || !same(signature, sign(`${role}.${until}.${session}`)))
      return undefined
    return Number(until) > Date.now() ? { role, session, until: Number(until) } : undefined
  }

  const fromTicket = (request: IncomingMessage): Visitor | undefined => {
    const ticket = new URL(request.url ?? '/', 'http://inspector').searchParams.get('ticket') ?? ''
    const found = tickets.get(ticket)
    tickets.delete(ticket)
    return found !== undefined && found.goodUntil > Date.now() ? found : undefined
  }

  return {
    hasTokens,
    refusal: ({ rawHeaders, headers }) => {
      const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host')
      if (hosts.length !== 1) return 400
      const authority = headers.host ?? ''
      if (!isOurs(nameOf(authority))) return 421
      const { origin } = headers
      return origin === undefined || origin === `http://${authority}` || origin === `https://${authority}`
        ? undefined
        : 403
    },
    visitor: (request) => {
      const until = Date.now() + sessionMs
      if (!hasTokens) return { role: 'operate', session: '', until: Number.POSITIVE_INFINITY }
      const token = bearerOf(request)
      if (token === undefined) return fromCookie(request) ?? fromTicket(request)
      const role = roleOf(token)
      return role === undefined ? undefined : { role, session: sign(`bearer ${role}`).slice(0, 8), until }
    },
    signIn: (token) => {
      const role = typeof token === 'string' ? roleOf(token) : undefined
      if (role === undefined) return undefined
      const text = `${role}.${Date.now() + sessionMs}.${randomBytes(6).toString('base64url')}`
      return { cookie: `${text}.${sign(text)}`, maxAgeSeconds: sessionMs / 1_000 }
    },
    issueTicket: (visitor) => {
      const ticket = randomBytes(24).toString('base64url')
      for (const oldest of tickets.keys()) {
        if (tickets.size < mostTickets) break
        tickets.delete(oldest)
      }
      tickets.set(ticket, { ...visitor, goodUntil: Date.now() + ticketMs })
      return { ticket, expiresInMs: ticketMs }
    },
  }
}

/** From the header, or from the subprotocol `bearer.TOKEN`, for clients that can set no header. */
const bearerOf = ({ headers }: IncomingMessage): string | undefined => {
  const header = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(headers.authorization ?? '')?.[1]
  if (header !== undefined) return header
  const protocols = (headers['sec-websocket-protocol'] ?? '').split(/,\s*/)
  return protocols.find((each) => each.startsWith('bearer.'))?.slice('bearer.'.length)
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

const same = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b))

/** `name` of `name:port` and `[name]:port`, in lower case. */
const nameOf = (authority: string): string =>
  (/^\[([^\]]*)\](?::\d+)?$/.exec(authority)?.[1] ?? authority.replace(/:\d+$/, '')).toLowerCase()

export const isLoopback = (name: string): boolean =>
  name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'))
