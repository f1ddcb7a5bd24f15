import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocket } from 'ws'
import { ControllerError } from '../../machines/errors.ts'
import { pageOf, scriptOf } from './statelyPage.ts'

/**
 * A bridge between the running controller and the inspector of Stately, for those who have internet: a page on loopback
 * that passes the messages of `/inspector/stately` on to a window of the browser. The token stays in this process.
 *
 * Its address holds a key, for everybody on the machine reaches the port, and it answers to loopback names only, for a
 * name that resolves to it may be anybody's.
 */
export interface StatelyBridge {
  /** Of the page. */
  readonly address: string
  close(): Promise<void>
}

export interface StatelyBridgeOptions {
  /** `ws://…/inspector/stately` */
  readonly from: string
  readonly token: string | undefined
  /** The inspector of Stately. */
  readonly to: string
  /** 0: any free one. */
  readonly port: number
}

const retryMs = 1_000

/** @throws ControllerError PORT_IN_USE */
export const openStatelyBridge = async ({ from, token, to, port }: StatelyBridgeOptions): Promise<StatelyBridge> => {
  const key = randomBytes(16).toString('base64url')
  const page = pageOf(to)
  const headers = { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff' }
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'sha256-${createHash('sha256').update(styleOf(page)).digest('base64')}'`,
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')

  const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
    [`/${key}/`]: (response) =>
      void response
        .writeHead(200, { ...headers, 'content-type': 'text/html', 'content-security-policy': policy })
        .end(page),
    [`/${key}/bridge.js`]: (response) =>
      void response.writeHead(200, { ...headers, 'content-type': 'text/javascript' }).end(scriptOf(to)),
    [`/${key}/messages`]: (response) => {
      response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' })
      response.write(`retry: ${retryMs}\n\n`)
      passOn(from, token, response)
    },
  }

  const server = createServer((request, response) => {
    const answer = isOurs(request) ? answers[request.url ?? ''] : undefined
    if (answer === undefined) response.writeHead(404, headers).end()
    else answer(response)
  })
  server.maxConnections = 16
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = `Port ${port} on 127.0.0.1 is taken; name another one with --port.`
      reject(error.code === 'EADDRINUSE' ? new ControllerError('PORT_IN_USE', inUse, { cause: error }) : error)
    })
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/${key}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const isOurs = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' && /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(headers.host ?? '')

const styleOf = (page: string): string => /<style>(.*)<\/style>/.exec(page)?.[1] ?? ''

/** A browser that reads slowly holds up the controller's socket, which the controller cuts when too much waits. */
const passOn = (from: string, token: string | undefined, response: ServerResponse): void => {
  const socket = new WebSocket(from, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })
  socket.on('message', (text) => {
    if (!response.write(`data: ${text}\n\n`)) socket.pause()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => response.end())
  response.on('drain', () => socket.resume())
  response.on('close', () => socket.terminate())
}
