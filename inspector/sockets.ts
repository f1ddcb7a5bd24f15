import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Gate, Visitor } from './gate.ts'
import { maxFrameBytes, subprotocol } from './protocol.ts'

/**
 * The sockets of all viewers, whatever they speak: who may open one, how large a frame is, when one is dead, and when
 * one reads too slowly. A viewer costs a bounded amount of memory and is cut rather than waited for.
 */
export interface Sockets {
  /** Takes the upgrade of a path of ours; answers everything, also with a refusal. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Closes the sockets of a session that was signed out. */
  endSession(session: string): void
  close(): void
}

export interface Talk {
  /** A text frame came. */
  receive(text: string): void
  left(): void
}

/** Begins to talk with a viewer. Throws when no seat is free. */
export type Speak = (link: ViewerLink) => Talk

export interface ViewerLink {
  readonly visitor: Visitor
  readonly address: string
  send(text: string): void
  close(code: number, reason: string): void
}

interface Options {
  readonly gate: Gate
  readonly speakers: Readonly<Record<string, Speak>>
  readonly viewers: number
  /** Bytes that may wait to be read by a viewer (default 2 MB). */
  readonly mostBuffered: number
  onError(thrown: unknown): void
}

const pingMs = 30_000
const mostFramesASecond = 200
const patienceMs = 500

export const createSockets = ({ gate, speakers, viewers, mostBuffered, onError }: Options): Sockets => {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxFrameBytes,
    perMessageDeflate: false,
    handleProtocols: (asked) => (asked.has(subprotocol) ? subprotocol : false),
  })
  const open = new Map<WebSocket, { readonly visitor: Visitor; alive: boolean }>()

  const beat = setInterval(() => {
    const now = Date.now()
    for (const [socket, viewer] of open) {
      if (!viewer.alive) socket.terminate()
      else if (viewer.visitor.until <= now) socket.close(4001, 'the session has ended')
      else {
        viewer.alive = false
        socket.ping()
      }
    }
  }, pingMs).unref()

  const begin = (socket: WebSocket, visitor: Visitor, address: string, speak: Speak): void => {
    const viewer = { visitor, alive: true }
    open.set(socket, viewer)
    let talk: Talk | undefined
    let frames = 0
    let second = 0
    const link: ViewerLink = {
      visitor,
      address,
      send: (text) => {
        if (socket.readyState !== socket.OPEN) return
        socket.send(text)
        if (socket.bufferedAmount <= mostBuffered) return
        socket.close(4008, 'read too slowly')
        socket.terminate()
      },
      close: (code, reason) => socket.close(code, reason),
    }
    socket.on('pong', () => {
      viewer.alive = true
    })
    // It says first why it closes: 1009 for a frame that is too large.
    socket.on('error', () => setTimeout(() => socket.terminate(), patienceMs).unref())
    socket.on('close', () => {
      open.delete(socket)
      talk?.left()
    })
    socket.on('message', (data, isBinary) => {
      viewer.alive = true
      const now = Math.floor(performance.now() / 1_000)
      frames = now === second ? frames + 1 : 1
      second = now
      if (frames > mostFramesASecond) return socket.close(1008, 'too many frames')
      guarded(() => talk?.receive(isBinary ? '' : String(data)))
    })
    guarded(() => {
      talk = speak(link)
    })
    if (talk === undefined) socket.close(1013, 'try again later')
  }

  const guarded = (run: () => void): void => {
    try {
      run()
    } catch (thrown) {
      onError(thrown)
    }
  }

  return {
    upgrade: (request, socket, head) => {
      socket.on('error', () => socket.destroy())
      const speak = speakers[new URL(request.url ?? '/', 'http://inspector').pathname]
      const refusal = gate.refusal(request)
      if (refusal !== undefined) return refuse(socket, refusal)
      if (speak === undefined) return refuse(socket, 404)
      const visitor = gate.visitor(request)
      if (visitor === undefined) return refuse(socket, 401)
      if (open.size >= viewers) return refuse(socket, 503)
      const address = request.socket.remoteAddress ?? ''
      server.handleUpgrade(request, socket, head, (viewer) => begin(viewer, visitor, address, speak))
    },
    endSession: (session) => {
      for (const [socket, { visitor }] of open) {
        if (visitor.session === session) socket.close(4001, 'signed out')
      }
    },
    close: () => {
      clearInterval(beat)
      for (const socket of open.keys()) {
        socket.close(1001, 'the server ends')
        setTimeout(() => socket.terminate(), patienceMs).unref()
      }
      server.close()
    },
  }
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  421: 'Misdirected Request',
  503: 'Service Unavailable',
}

const refuse = (socket: Duplex, status: number): void => {
  socket.end(`HTTP/1.1 ${status} ${titles[status] ?? ''}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}
