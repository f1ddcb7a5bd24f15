import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import express, { type NextFunction, type Request, type Response } from 'express'
import type { Log } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import { isAmbiguous } from './body.ts'
import { createProtocolGuard } from './protocolGuard.ts'
import { bug, isClosing, problem, type Reply, sendReply, unavailable } from './replies.ts'

/**
 * The one HTTP server of a process, shared by all its webhook sources. It listens while at least one path is mounted.
 *
 * Paths are exact: no patterns, no case folding, no trailing slash. A path whose source has gone while others stay
 * answers 503, since it will be back; a path nobody has mounted answers 404. A request whose target is a mounted path to
 * the letter goes straight to its source, everything else through Express: the way through it costs a fifth of a request.
 *
 * It closes in steps, because a connection that is cut while its sender begins the next request is a failed request for
 * the sender: for a moment every answer says `Connection: close`, then nothing is accepted and idle connections are
 * closed, and what is still open at the deadline is cut. Node enforces no timeout on requests once a server is closing.
 */
export interface WebhookServer {
  /** Opens the listener for the first path. The path is gone, and with the last one the listener, when the undo resolves. */
  mount(route: Route): Promise<() => Promise<void>>
  /** Where it listens; the port is the real one when it was asked for as 0. */
  address(): AddressInfo | undefined
  /** From now on each answer closes its connection: senders move to another replica before this one drains. */
  shed(): void
  isShedding(): boolean
}

export interface Route {
  readonly path: string
  readonly method: 'POST' | 'PUT'
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
}

export interface WebhookServerOptions {
  readonly host: string
  readonly port: number
  readonly log: Log
  /** For the whole head of a request, and from the connection to its first byte (default 10 s). */
  readonly headersTimeoutMs?: number
}

const shedMs = 250
const cutMs = 1_000
const mostConnections = 4_096
const limits = {
  maxHeaderSize: 16 * 1_024,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 250,
  // Bodies are timed by whoever reads them, each source with its own limit.
  requestTimeout: 0,
  // Checked by us, so that the refusal is a problem document like all others.
  requireHostHeader: false,
  insecureHTTPParser: false,
} as const

export const createWebhookServer = ({
  host,
  port,
  log,
  headersTimeoutMs = 10_000,
}: WebhookServerOptions): WebhookServer => {
  const paths = new Map<string, Map<string, Route | 'away'>>()
  const sockets = new Set<Socket>()
  let server: Server | undefined
  let sheddingSince: number | undefined
  let turn: Promise<unknown> = Promise.resolve()

  const isShedding = (): boolean => sheddingSince !== undefined
  const shed = (): void => {
    sheddingSince ??= performance.now()
  }

  const reply = (request: IncomingMessage, response: ServerResponse, answer: Reply): void => {
    log.debug({ status: answer.status, reason: answer.because }, 'webhook request refused')
    sendReply(request, response, answer, isShedding())
  }

  const failed = (thrown: unknown, request: IncomingMessage, response: ServerResponse): void => {
    log.error({ err: thrown }, 'webhook request failed')
    sendReply(request, response, bug(), isShedding())
  }

  const dispatch = async (request: Request, response: Response): Promise<void> => {
    const methods = paths.get(request.path)
    if (methods === undefined) return reply(request, response, problem(404, 'path'))
    const route = methods.get(request.method)
    if (route === undefined) {
      return reply(request, response, problem(405, 'method', { headers: { allow: [...methods.keys()].join(', ') } }))
    }
    if (route === 'away') return reply(request, response, unavailable('away'))
    return route.handle(request, response)
  }

  const listen = async (): Promise<Server> => {
    const app = express()
    app.disable('x-powered-by').disable('etag')
    app.use(dispatch)
    app.use((thrown: unknown, request: Request, response: Response, _next: NextFunction) =>
      failed(thrown, request, response),
    )
    const guard = createProtocolGuard()
    const pass = (request: IncomingMessage, response: ServerResponse): void => {
      const route = paths.get(request.url ?? '')?.get(request.method ?? '') ?? 'away'
      if (route === 'away') app(request as Request, response as Response)
      else route.handle(request, response).catch((thrown: unknown) => failed(thrown, request, response))
    }
    const take = (request: IncomingMessage, response: ServerResponse): void => {
      if (isClosing(request.socket)) return
      guard.began(request, response)
      if (!isAmbiguous(request)) pass(request, response)
      else reply(request, response, problem(400, 'ambiguous', { headers: { connection: 'close' } }))
    }
    const opened = createServer({ ...limits, headersTimeout: headersTimeoutMs }, take)
    opened.maxConnections = mostConnections
    // Doubled headers are looked for in all of them; their number is bounded by their size.
    opened.maxHeadersCount = 0
    opened
      .on('checkContinue', take)
      .on('checkExpectation', (request, response) => reply(request, response, problem(417, 'expectation')))
      .on('clientError', guard.refuse)
      .on('connection', (socket) => void sockets.add(socket.once('close', () => void sockets.delete(socket))))
    opened.listen(port, host)
    try {
      await once(opened, 'listening')
    } catch (cause) {
      throw cannotListen(host, port, cause)
    }
    return opened.on('error', (err) => log.error({ err }, 'webhook listener failed to accept'))
  }

  const close = async (open: Server): Promise<void> => {
    shed()
    const shedMoreMs = (sheddingSince ?? 0) + shedMs - performance.now()
    if (sockets.size > 0 && shedMoreMs > 0) await delay(shedMoreMs)
    const closed = once(open, 'close')
    open.close()
    const cut = setTimeout(() => sockets.forEach((socket) => void socket.destroy()), cutMs)
    await closed
    clearTimeout(cut)
    sheddingSince = undefined
  }

  /** Opening and closing one after the other, so that a path mounted while the last one goes finds a new listener. */
  const inTurn = <Result>(run: () => Promise<Result>): Promise<Result> => {
    const result = turn.then(run)
    turn = result.catch(() => undefined)
    return result
  }

  const unmount = async (route: Route): Promise<void> => {
    const stays = [...paths.values()].some((methods) => [...methods.values()].some((one) => one !== 'away'))
    if (stays || server === undefined) return
    await close(server)
    server = undefined
    paths.clear()
    log.info({ path: route.path }, 'webhook listener closed')
  }

  return {
    mount: (route) =>
      inTurn(async () => {
        const methods = paths.get(route.path) ?? new Map<string, Route | 'away'>()
        const there = methods.get(route.method) ?? 'away'
        if (there !== 'away') throw mountedTwice(route)
        server ??= await listen()
        paths.set(route.path, methods.set(route.method, route))
        const { port } = server.address() as AddressInfo
        log.info({ host, port, method: route.method, path: route.path }, 'webhook path opened')
        let gone: Promise<void> | undefined
        return () => {
          if (gone === undefined) methods.set(route.method, 'away')
          gone ??= inTurn(() => unmount(route))
          return gone
        }
      }),
    address: () => server?.address() as AddressInfo | undefined,
    shed,
    isShedding,
  }
}

const mountedTwice = ({ path, method }: Route): ControllerError =>
  new ControllerError('CONFIG_INVALID', `Two webhooks take ${method} ${path}; give each its own path.`, {
    fields: { path, method },
  })

const cannotListen = (host: string, port: number, cause: unknown): ControllerError => {
  const code = (cause as NodeJS.ErrnoException).code
  const fields = { host, port, code }
  return code === 'EADDRINUSE'
    ? new ControllerError('PORT_IN_USE', `Port ${port} on ${host} is taken; stop what listens there or set PORT.`, {
        cause,
        fields,
      })
    : new ControllerError('SOURCE_CONNECT_FAILED', `Cannot listen on ${host}:${port}: ${code}.`, { cause, fields })
}
