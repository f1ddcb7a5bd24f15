import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import express, { type Express, type Request, type Response } from 'express'
import type { Collector } from './collector.ts'
import { cookieName, type Gate } from './gate.ts'
import type { PageFiles } from './page.ts'
import type { Session } from './protocol.ts'
import type { Sockets } from './sockets.ts'

/** The HTTP side of the inspector; see `protocol.ts` for its paths. To be mounted on a server, beside its own paths. */
export interface Mounted {
  /** Whether a path is one of the inspector's. */
  owns(path: string): boolean
  handle(request: IncomingMessage, response: ServerResponse): void
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

export interface MountOptions {
  readonly gate: Gate
  readonly collector: Collector
  readonly sockets: Sockets
  readonly files: PageFiles
  readonly flight: (() => unknown) | undefined
  onError(thrown: unknown): void
}

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const headers = {
  'content-security-policy': policy,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
}

export const mount = (options: MountOptions): Mounted => {
  const app = createApp(options)
  return {
    owns: (path) => path === '/inspector' || path.startsWith('/inspector/'),
    handle: (request, response) => void app(request, response),
    upgrade: options.sockets.upgrade,
  }
}

const createApp = ({ gate, collector, sockets, files, flight, onError }: MountOptions): Express => {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.enable('strict routing')
  app.use((request, response, next) => {
    response.set(headers)
    const refusal = gate.refusal(request)
    if (refusal === undefined) next()
    else
      problem(
        response,
        refusal,
        refusal === 421 ? 'Misdirected request' : refusal === 403 ? 'Foreign origin' : 'Bad request',
      )
  })

  const signedIn = (request: Request, response: Response) => {
    const visitor = gate.visitor(request)
    if (visitor === undefined) problem(response, 401, 'Token required')
    return visitor
  }

  app.get('/inspector/session', (request, response) => {
    const visitor = signedIn(request, response)
    if (visitor !== undefined) response.json({ role: visitor.role, token: gate.hasTokens } satisfies Session)
  })
  app.post('/inspector/session', express.json({ limit: 4_096, type: 'application/json' }), (request, response) => {
    const { token } = (request.body ?? {}) as { token?: unknown }
    const session = gate.signIn(token)
    if (session === undefined) return problem(response, 401, 'Token required')
    setCookie(response, session.cookie, session.maxAgeSeconds)
    response.status(204).end()
  })
  app.delete('/inspector/session', (request, response) => {
    const visitor = gate.visitor(request)
    if (visitor !== undefined && visitor.session !== '') sockets.endSession(visitor.session)
    setCookie(response, '', 0)
    response.status(204).end()
  })
  app.post('/inspector/ticket', (request, response) => {
    const visitor = signedIn(request, response)
    if (visitor !== undefined) response.json(gate.issueTicket(visitor))
  })
  app.get('/inspector/definitions/:file', (request, response) => {
    if (signedIn(request, response) === undefined) return
    const definition = collector.definitions.byHash(request.params.file.replace(/\.json$/, ''))
    if (definition === undefined) return problem(response, 404, 'No such definition')
    response.set('cache-control', 'private, max-age=31536000, immutable').json(definition)
  })
  app.get('/inspector/flight', (request, response) => {
    if (signedIn(request, response) === undefined) return
    if (flight === undefined) return problem(response, 404, 'Nothing is recorded here')
    response.attachment('flight.json').json(flight())
  })
  app.get('/inspector', (_, response) => response.redirect(308, '/inspector/'))
  app.use('/inspector/', async (request, response, next) => {
    const folder = await files.folder()
    express.static(folder, {
      index: 'index.html',
      redirect: false,
      setHeaders: (served, path) => {
        if (/[\\/]assets[\\/]/.test(path)) served.setHeader('cache-control', 'public, max-age=31536000, immutable')
      },
    })(request, response, next)
  })
  app.use((_, response) => problem(response, 404, 'Not found'))
  app.use((thrown: unknown, _: Request, response: Response, __: () => void) => {
    const { status } = thrown as { status?: unknown }
    const known = typeof status === 'number' && status >= 400 && status < 500 ? status : 500
    if (known === 500) onError(thrown)
    problem(response, known, known === 500 ? 'Internal error' : 'Not understood')
  })
  return app
}

const setCookie = (response: Response, value: string, maxAgeSeconds: number): void => {
  response.set(
    'set-cookie',
    `${cookieName}=${value}; Path=/inspector; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}`,
  )
}

const problem = (response: Response, status: number, title: string): void => {
  if (status === 401) response.set('www-authenticate', 'Bearer')
  response
    .status(status)
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', title, status }))
}
