import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** One copy of a service: where it works, and where it is asked whether it is ready. */
export interface Replica {
  readonly port: number
  readonly readyz: string
}

/** A TCP balancer: a new connection goes to the next replica that is ready, and stays there as long as it lasts. */
export interface Balancer extends AsyncDisposable {
  readonly port: number
  /** Those that said at the last question that they are ready. */
  ready(): readonly Replica[]
  /** Connections that a replica has reset, and those that no replica took. */
  failures(): { readonly resets: number; readonly untaken: number }
}

const askEveryMs = 100

export const tcpBalancer = async (replicas: readonly Replica[]): Promise<Balancer> => {
  const sockets = new Set<Socket>()
  const failures = { resets: 0, untaken: 0 }
  let ready: readonly Replica[] = []
  let turn = 0

  const ask = async (): Promise<void> => {
    const answers = await Promise.all(replicas.map(({ readyz }) => fetch(readyz).catch(() => undefined)))
    await Promise.all(answers.map((answer) => answer?.text()))
    ready = replicas.filter((_, place) => answers[place]?.ok)
  }
  let asking: Promise<void> = ask()
  const clock = setInterval(() => {
    asking = asking.then(ask)
  }, askEveryMs)

  const join = (client: Socket, replica: Socket): void => {
    for (const [from, to] of [
      [client, replica],
      [replica, client],
    ] as const) {
      from.on('error', ({ code }: NodeJS.ErrnoException) => {
        if (from === replica && code === 'ECONNRESET') failures.resets += 1
        to.destroy()
      })
      from.pipe(to)
    }
  }
  const server = createServer({ allowHalfOpen: true }, (client) => {
    sockets.add(client.setNoDelay(true).once('close', () => void sockets.delete(client)))
    const next = ready[turn++ % ready.length]
    if (next === undefined) {
      failures.untaken += 1
      client.resetAndDestroy()
      return
    }
    const replica = connect({ port: next.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    sockets.add(replica.once('close', () => void sockets.delete(replica)))
    join(client, replica)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }

  return {
    port,
    ready: () => ready,
    failures: () => failures,
    async [Symbol.asyncDispose]() {
      clearInterval(clock)
      await asking
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
