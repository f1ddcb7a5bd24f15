import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { Refused } from './http.ts'

/**
 * Who may ask. The port has no cookies and sends no CORS headers, so a web page gains nothing by itself; what is left is
 * DNS rebinding (a foreign name that resolves to us) and blind requests from a page.
 *
 * - `Host`: exactly one; on a loopback address only loopback names; elsewhere any IP address and the configured name.
 *   The port is not compared, so that a port-forward works.
 * - `Origin`: none, or the very origin that was asked.
 * - token: where one is configured, for all but the probes. It says whether its bearer may change anything.
 */
export interface Guard {
  /** @throws Refused 400, 403 or 421 */
  admit(request: IncomingMessage): void
  /** @throws Refused 401 */
  authorise(request: IncomingMessage): Role
}

/** `operate` may do what `read` may, and change things. */
export type Role = 'read' | 'operate'

/** None: whoever reaches the port may operate. Only `read`: nobody may. */
export type Tokens = Readonly<Partial<Record<Role, string>>>

export const createGuard = (host: string, tokens: Tokens): Guard => {
  const known = (['operate', 'read'] as const).flatMap((role) => {
    const token = tokens[role]
    return token === undefined ? [] : [{ role, digest: digest(token) }]
  })
  const bound = host.toLowerCase()
  const onLoopback = isLoopback(bound)
  const isOurs = (name: string): boolean => isLoopback(name) || name === bound || (!onLoopback && isIP(name) !== 0)

  return {
    admit: (request) => {
      const { rawHeaders } = request
      const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host')
      if (hosts.length !== 1) throw new Refused({ status: 400, title: 'Exactly one Host header' })
      const authority = request.headers.host ?? ''
      if (!isOurs(nameOf(authority))) throw new Refused({ status: 421, title: 'Misdirected request' })
      const { origin } = request.headers
      if (origin !== undefined && origin !== `http://${authority}`) {
        throw new Refused({ status: 403, title: 'Foreign origin' })
      }
    },
    authorise: ({ headers }) => {
      if (known.length === 0) return 'operate'
      const given = digest(/^Bearer ([\x21-\x7e]{1,512})$/i.exec(headers.authorization ?? '')?.[1] ?? '')
      const bearer = known.find((each) => timingSafeEqual(given, each.digest))
      if (bearer !== undefined) return bearer.role
      throw new Refused({ status: 401, title: 'Token required', headers: { 'www-authenticate': 'Bearer' } })
    },
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** `name` of `name:port` and `[name]:port`, in lower case. */
const nameOf = (authority: string): string =>
  (/^\[([^\]]*)\](?::\d+)?$/.exec(authority)?.[1] ?? authority.replace(/:\d+$/, '')).toLowerCase()

const isLoopback = (name: string): boolean =>
  name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'))
