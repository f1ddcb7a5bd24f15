import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Log } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import { createGuard, type Tokens } from './guard.ts'
import { Refused, sendProblem, sendReply } from './http.ts'
import { type Route, routes } from './routes.ts'
import type { AdminTarget } from './target.ts'

/**
 * The admin port: probes, metrics, status, parked events and commands, over HTTP for people and orchestrators.
 *
 * It opens before the first source connects and closes last, so that a boot and a drain can be watched. A path of its
 * own for each thing, JSON answers, RFC 9457 problems, no stack traces, no secrets (nothing here holds any).
 */
export interface AdminOptions {
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  /** Asked for by all paths but the probes. */
  readonly tokens: Tokens
  readonly target: AdminTarget
  readonly log: Log
  /** Has paths of its own on this port, and guards them itself. */
  readonly guest?: AdminGuest | undefined
}

/** What else lives on the admin port: the inspector. */
export interface AdminGuest {
  owns(path: string): boolean
  handle(request: IncomingMessage, response: ServerResponse): void
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

export interface AdminServer {
  readonly port: number
  /** Lets answers under way end within a second, then cuts. Legal twice. */
  close(): Promise<void>
}

const closeWithinMs = 1_000

/**
 * Resolves when it listens.
 * @throws ControllerError PORT_IN_USE
 */
export const startAdmin = async ({ host, port, tokens, target, log, guest }: AdminOptions): Promise<AdminServer> => {
  const guard = createGuard(host, tokens)

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    guard.admit(request)
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://admin')
    const route = findRoute(pathname, request.method ?? '')
    const who = { by: 'admin', address: request.socket.remoteAddress ?? '' } as const
    if (route.needs !== 'nothing' && guard.authorise(request) === 'read' && route.needs === 'operate') {
      const reason = 'its token may only read'
      target.control.audit('control', who, 'refused', { reason })
      throw new Refused({ status: 403, title: 'Forbidden', detail: 'This token may read and not operate.' })
    }
    const segment = route.path.exec(pathname)?.[1] ?? ''
    sendReply(response, await route.reply(target, { request, query, segment, who }))
  }

  const server = createServer(
    {
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 16_384,
    },
    (request, response) => {
      if (guest?.owns(pathOf(request)) === true) return guest.handle(request, response)
      answer(request, response).catch((thrown: unknown) => {
        const problem = problemOf(thrown)
        if (problem.status >= 500) log.warn({ path: request.url, error: String(thrown) }, 'admin request failed')
        if (response.headersSent) response.destroy()
        else sendProblem(response, problem)
      })
    },
  )
  server.maxConnections = 128
  server.on('upgrade', (request, socket, head) => {
    if (guest?.owns(pathOf(request)) === true) guest.upgrade(request, socket, head)
    else socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuseMalformed(error, socket as Socket))

  const bound = await listen(server, host, port)
  let closing: Promise<void> | undefined
  return {
    port: bound,
    close: () => {
      closing ??= close(server)
      return closing
    },
  }
}

const pathOf = ({ url = '/' }: IncomingMessage): string => url.split('?', 1)[0] as string

const findRoute = (pathname: string, method: string): Route => {
  const found = routes.filter(({ path }) => path.test(pathname))
  if (found.length === 0) throw new Refused({ status: 404, title: 'Not found' })
  const route = found.find((each) => each.method === method || (each.method === 'GET' && method === 'HEAD'))
  if (route !== undefined) return route
  const allow = found.map((each) => (each.method === 'GET' ? 'GET, HEAD' : each.method)).join(', ')
  throw new Refused({ status: 405, title: 'Method not allowed', headers: { allow } })
}

const problemOf = (thrown: unknown): Refused['problem'] => {
  if (thrown instanceof Refused) return thrown.problem
  if (!(thrown instanceof ControllerError)) return internal
  const { code, message: detail } = thrown
  if (code === 'JOURNAL_UNAVAILABLE') {
    return { status: 503, title: 'The journal does not answer', headers: { 'retry-after': '2' } }
  }
  if (code === 'COMMAND_INVALID') return { status: 422, title: 'Not possible', detail }
  if (code === 'COMMAND_REFUSED') return { status: 409, title: 'Not now', detail }
  return internal
}

const internal = { status: 500, title: 'Internal error' }

const refuseMalformed = (error: NodeJS.ErrnoException, socket: Socket): void => {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy()
  const status =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? '408 Request Timeout'
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}

const listen = (server: Server, host: string, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = `The admin port ${host}:${port} is in use; stop what listens there or set KOKSMAT_ADMIN_PORT.`
      reject(error.code === 'EADDRINUSE' ? new ControllerError('PORT_IN_USE', inUse, { cause: error }) : error)
    })
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })

const close = async (server: Server): Promise<void> => {
  if (!server.listening) return
  const cut = setTimeout(() => server.closeAllConnections(), closeWithinMs)
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })
  clearTimeout(cut)
}
