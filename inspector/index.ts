import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AnyActorRef } from 'xstate'
import { createClassicSpeaker } from './classic.ts'
import { type Bounds, createCollector, defaultBounds } from './collector.ts'
import { createCommander } from './commands.ts'
import { createGate, isLoopback } from './gate.ts'
import type { InspectorHost } from './host.ts'
import { createPageFiles } from './page.ts'
import type { Flight } from './protocol/flight.ts'
import { createRedaction, type RedactionOptions } from './redaction.ts'
import { createSerializer } from './serialize.ts'
import { type Mounted, mount } from './server.ts'
import { createSockets } from './sockets.ts'
import { createStatelySpeaker } from './stately.ts'
import { statusWithin } from './stats.ts'
import { createPageSpeaker } from './viewer.ts'

/**
 * Look into the XState 5 actors of a running Node process, from a browser, without a package in their way:
 *
 * ```ts
 * const actor = createActor(machine).start()
 * const inspector = createInspector({ port: 4000 })(actor)
 * await inspector.listening   // http://127.0.0.1:4000/inspector/
 * ```
 *
 * Nothing is attached to the actors while nobody watches, and nothing that fails here reaches them.
 */
export interface InspectorOptions {
  /** Where to listen; 0 takes any free port. Absent: mount it on a server of your own. */
  readonly port?: number
  /** Default 127.0.0.1. Another one needs a token. */
  readonly host?: string
  /** Names under which the port is reached beside `host`: of a proxy, for one. */
  readonly allowedHosts?: readonly string[]
  /** Whoever has it may do everything. At least 32 characters. */
  readonly token?: string
  /** Whoever has it may look. At least 32 characters. */
  readonly readToken?: string
  /** What is not shown, beside names like password and token. */
  readonly redact?: RedactionOptions
  readonly bounds?: Partial<Bounds>
  /** Events that tell of a failure are never sampled out. Events with an `error` are found without it. */
  readonly isFailure?: (event: { readonly type: string }) => boolean
  /** What a flight recorder holds (`recorder.ts`), for those who ask for it. */
  readonly flight?: () => Flight
  /** The service around the actors. */
  readonly service?: InspectorHost
  readonly log?: InspectorLog
}

/** Any logger like pino. */
export interface InspectorLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface Inspector {
  /** The address of the page, once it listens. Rejects when it cannot. */
  readonly listening: Promise<string>
  readonly mounted: Mounted
  /** Observers on the actor system: 0 while nobody watches. */
  observers(): number
  viewers(): number
  /** Closes every viewer with 1001 and the port. Legal twice. */
  close(): Promise<void>
}

const leastTokenLength = 32
const mostBuffered = 2_097_152
const quietMs = 10_000

/** @throws Error when the port would be open to other machines without a token, or a token is too short */
export const createInspector = (options: InspectorOptions = {}): ((actor: AnyActorRef) => Inspector) => {
  const { host = '127.0.0.1', token, readToken } = options
  for (const each of [token, readToken]) {
    if (each !== undefined && each.length < leastTokenLength) {
      throw new Error(`A token of the inspector has at least ${leastTokenLength} characters.`)
    }
  }
  if (!isLoopback(host) && token === undefined && readToken === undefined) {
    throw new Error(`The inspector listens on ${host} only with a token.`)
  }
  return (actor) => inspect(actor, { ...options, host })
}

const inspect = (root: AnyActorRef, options: InspectorOptions & { readonly host: string }): Inspector => {
  const { host, port, service, log, isFailure = () => false } = options
  const onError = quietly((thrown) => log?.warn({ err: thrown }, 'the inspector failed; nothing else did'))
  const serialize = createSerializer(createRedaction(options.redact))
  const bounds = { ...defaultBounds, ...options.bounds }
  const collector = createCollector({ root, serialize, bounds, isFailure, onError })
  const gate = createGate({
    host,
    operateToken: options.token,
    readToken: options.readToken,
    ...(options.allowedHosts === undefined ? {} : { allowedHosts: options.allowedHosts }),
  })
  const { flight } = options
  const audit = (fields: object): void => log?.info(fields, 'inspector command')
  const commander = createCommander({ collector, host: service, serialize, flight, audit, onError })
  const statusOf = () => statusWithin(service, serialize)
  const page = createPageSpeaker({ run: randomUUID(), collector, commander, host: service, statusOf, onError })
  const speakers = {
    '/inspector/ws': page,
    '/inspector/stately': createStatelySpeaker({ collector, serialize, rootId: root.sessionId }),
    '/inspector/classic': createClassicSpeaker({ collector, commander, serialize }),
  }
  const sockets = createSockets({ gate, speakers, viewers: bounds.viewers, mostBuffered, onError })
  const files = createPageFiles()
  const mounted = mount({ gate, collector, sockets, files, flight, onError })

  const own = port === undefined ? undefined : serve(mounted)
  const listening =
    own === undefined
      ? Promise.reject(new Error('The inspector has no port of its own.'))
      : listen(own, host, port as number).then(
          (bound) => `http://${host.includes(':') ? `[${host}]` : host}:${bound}/inspector/`,
        )
  listening.catch(() => undefined)
  if (!gate.hasTokens && own !== undefined) log?.info({ host }, 'inspector open without a token: for development only')

  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    sockets.close()
    collector.close()
    files.close()
    if (own === undefined || !own.listening) return
    await new Promise<void>((resolve) => {
      own.close(() => resolve())
      own.closeAllConnections()
    })
  }
  return {
    listening,
    mounted,
    observers: collector.observers,
    viewers: collector.seats,
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

const serve = (mounted: Mounted): Server => {
  const server = createServer(
    { headersTimeout: 5_000, requestTimeout: 10_000, maxHeaderSize: 16_384 },
    (request, response) => {
      if (request.url === '/') response.writeHead(302, { location: '/inspector/' }).end()
      else mounted.handle(request, response)
    },
  )
  server.maxConnections = 128
  return server.on('upgrade', mounted.upgrade)
}

const listen = (server: Server, host: string, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })

/** At most one call in ten seconds. */
const quietly = (tell: (thrown: unknown) => void): ((thrown: unknown) => void) => {
  let until = 0
  return (thrown) => {
    const now = performance.now()
    if (now < until) return
    until = now + quietMs
    tell(thrown)
  }
}
