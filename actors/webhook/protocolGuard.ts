import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { isClosing, lingerMs, problem } from './replies.ts'

/**
 * Answers what the HTTP parser itself refuses (malformed or smuggling shapes, heads that are too large or too slow),
 * for which there is no response object: the answer is written to the socket, which is then closed.
 *
 * It is only written where the sender can tell what it answers: not into or before the answer to a good request of the
 * same connection. Such a connection is cut.
 */
export interface ProtocolGuard {
  began(request: IncomingMessage, response: ServerResponse): void
  refuse(error: Error & { code?: string }, socket: Duplex): void
}

const statusOf: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

export const createProtocolGuard = (): ProtocolGuard => {
  const latest = new WeakMap<Duplex, { request: IncomingMessage; response: ServerResponse; alone: boolean }>()
  const refused = new WeakSet<Duplex>()

  const isFinished = (socket: Duplex): boolean => latest.get(socket)?.response.writableFinished ?? true

  const mayAnswer = (socket: Duplex): boolean => {
    const last = latest.get(socket)
    if (last === undefined || isFinished(socket)) return true
    return last.alone && !last.request.complete && !last.response.headersSent
  }

  return {
    began(request, response) {
      latest.set(request.socket, { request, response, alone: isFinished(request.socket) })
    },
    refuse(error, socket) {
      // The parser complains again about each further piece of what it, or we, have refused already.
      if (refused.has(socket) || isClosing(socket)) return
      refused.add(socket)
      if (!socket.writable || error.code === 'ECONNRESET' || !mayAnswer(socket)) return void socket.destroy()
      socket.end(rawReply(statusOf[error.code ?? ''] ?? 400))
      const cut = setTimeout(() => socket.destroy(), lingerMs)
      socket.once('close', () => clearTimeout(cut))
    },
  }
}

const rawReply = (status: number): string => {
  const { body, headers } = problem(status, 'protocol')
  const head = Object.entries({
    ...headers,
    'content-length': body.length,
    'cache-control': 'no-store',
    connection: 'close',
  })
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}
