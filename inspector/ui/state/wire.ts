import type { Ack, ClientMessage, ServerMessage, Session } from '../../protocol.ts'

/** The socket to the server: one that comes back by itself. The page talks to nobody else. */
export interface Wire {
  /** Sends when connected, drops otherwise: what is to be watched is said anew at each `hello`. */
  tell(message: ClientMessage): void
  /** Resolves with the answer; also with one of our own when there is no connection, or when it is lost. */
  ask(message: Unnumbered): Promise<Ack>
  /** Tries again now, with a token where one is given. Resolves with whether the token was taken. */
  open(token?: string): Promise<boolean>
}

/** A request; the wire gives it its id. */
export type Unnumbered = Request extends infer Each ? (Each extends Request ? Omit<Each, 'id'> : never) : never

type Request = Extract<ClientMessage, { id: string }>

export type LinkState =
  | 'connecting'
  | 'live'
  | 'reconnecting'
  /** The server asks for a token. */
  | 'locked'
  /** Nobody else may look: eight viewers do. */
  | 'full'

export interface WireListener {
  message(message: Exclude<ServerMessage, Ack>): void
  state(state: LinkState): void
}

const sessionEnded = 4001
const firstRetryMs = 250
const longestRetryMs = 5_000

export const openWire = (listener: WireListener): Wire => {
  const waiting = new Map<string, (ack: Ack) => void>()
  let socket: WebSocket | undefined
  let lastId = 0
  let retryMs = firstRetryMs
  let wasLive = false
  let timer: number | undefined

  const later = (): void => {
    timer = window.setTimeout(() => void connect(), retryMs)
    retryMs = Math.min(retryMs * 2, longestRetryMs)
  }
  const connect = async (): Promise<void> => {
    window.clearTimeout(timer)
    const session = await fetch('session', { cache: 'no-store' }).catch(() => undefined)
    if (session?.status === 401) {
      listener.state('locked')
      return
    }
    if (session === undefined || !session.ok) {
      listener.state(wasLive ? 'reconnecting' : 'connecting')
      later()
      return
    }
    ;(await session.json()) as Session
    dial()
  }
  const dial = (): void => {
    const address = new URL('ws', document.baseURI)
    address.protocol = address.protocol.replace('http', 'ws')
    const opened = new WebSocket(address)
    socket = opened
    opened.onmessage = ({ data }: MessageEvent<string>) => {
      const message = JSON.parse(data) as ServerMessage
      if (message.type === 'ack') {
        waiting.get(message.id)?.(message)
        waiting.delete(message.id)
        return
      }
      if (message.type === 'hello') {
        wasLive = true
        retryMs = firstRetryMs
        listener.state('live')
      }
      listener.message(message)
    }
    opened.onclose = ({ code }) => {
      socket = undefined
      for (const [id, answer] of waiting) answer(lost(id))
      waiting.clear()
      listener.state(code === sessionEnded ? 'locked' : wasLive ? 'reconnecting' : 'connecting')
      if (code !== sessionEnded) later()
    }
  }

  const isOpen = (): boolean => socket?.readyState === WebSocket.OPEN
  return {
    tell: (message) => {
      if (isOpen()) socket?.send(JSON.stringify(message))
    },
    ask: (request) => {
      lastId += 1
      const id = String(lastId)
      if (!isOpen()) return Promise.resolve(lost(id))
      return new Promise((resolve) => {
        waiting.set(id, resolve)
        socket?.send(JSON.stringify({ ...request, id }))
      })
    },
    open: async (token) => {
      if (token !== undefined) {
        const answer = await fetch('session', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ token }),
        }).catch(() => undefined)
        if (answer?.ok !== true) {
          if (answer?.status === 401) listener.state('locked')
          else await connect()
          return false
        }
      }
      if (!isOpen()) await connect()
      return true
    },
  }
}

const lost = (id: string): Ack => ({
  type: 'ack',
  id,
  ok: false,
  error: { code: 'UNAVAILABLE', message: 'There is no connection to the controller.' },
})
