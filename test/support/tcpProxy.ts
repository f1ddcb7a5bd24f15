import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A line between a client and a server that a test can cut, silence and slow down. */
export interface TcpProxy {
  readonly port: number
  /** Connections that are open now. */
  connections(): number
  /** Cuts all connections with a reset; new ones are taken. */
  reset(): void
  /** From now on nothing arrives in either direction, and nobody is told; new connections are taken and stay silent. */
  blackHole(): void
  /** From now on nothing passes through the open connections whose client has said this, and nobody is told. Says how many. */
  mute(saying: RegExp): number
  /** Bytes wait this long, each way. */
  delay(ms: number): void
  /** New connections are reset at once. */
  refuse(): void
  /** Ends `blackHole`, `delay` and `refuse`. What was swallowed meanwhile is lost, so those connections are reset. */
  heal(): void
  /** Resets what is open and closes. Legal twice. */
  close(): Promise<void>
}

type Mode = 'open' | 'silent' | 'refusing'

export const tcpProxy = async (target: { readonly host?: string; readonly port: number }): Promise<TcpProxy> => {
  const pairs = new Set<readonly [Socket, Socket]>()
  /** The end of what the client of a pair has said. */
  const said = new WeakMap<readonly [Socket, Socket], string>()
  const muted = new WeakSet<Socket>()
  let mode: Mode = 'open'
  let delayMs = 0

  const forward = (from: Socket, to: Socket) => {
    let line = Promise.resolve()
    const later = (what: () => void) => {
      const waitMs = delayMs
      line = line.then(async () => {
        if (waitMs > 0) await sleep(waitMs)
        if (mode === 'open' && !to.destroyed && !muted.has(to)) what()
      })
    }
    from.on('data', (bytes) => later(() => void to.write(bytes)))
    from.on('end', () => later(() => to.end()))
    from.on('error', () => cut(to))
  }

  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (mode === 'refusing') {
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    const upstream = connect({ host: target.host ?? '127.0.0.1', port: target.port, allowHalfOpen: true })
    const pair = [client, upstream] as const
    pairs.add(pair)
    client.on('data', (bytes) => said.set(pair, ((said.get(pair) ?? '') + bytes.toString('latin1')).slice(-4_096)))
    forward(client, upstream)
    forward(upstream, client)
    for (const socket of pair) socket.setNoDelay(true).on('close', () => forget(pair))
  })

  const forget = (pair: readonly [Socket, Socket]) => {
    if (pair.every((socket) => socket.destroyed)) pairs.delete(pair)
  }
  const reset = () => {
    for (const pair of pairs) for (const socket of pair) cut(socket)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('The proxy has no port.')

  return {
    port: address.port,
    connections: () => pairs.size,
    reset,
    blackHole: () => {
      mode = 'silent'
    },
    mute: (saying) => {
      const found = [...pairs].filter((pair) => saying.test(said.get(pair) ?? ''))
      for (const pair of found) for (const socket of pair) muted.add(socket)
      return found.length
    },
    delay: (ms) => {
      delayMs = ms
    },
    refuse: () => {
      mode = 'refusing'
    },
    heal: () => {
      if (mode === 'silent') reset()
      mode = 'open'
      delayMs = 0
    },
    close: async () => {
      reset()
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
  }
}

/** A socket that was ended cannot be reset any more: Node says that it is destroyed, and leaves it open. */
const cut = (socket: Socket): unknown => (socket.writableEnded ? socket.destroy() : socket.resetAndDestroy())
