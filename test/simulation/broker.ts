import type { Delivery, Driver, DriverHost, Settlement } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { ArrivedEvent } from '../../machines/event.ts'
import type { Network, Process } from './process.ts'

/**
 * A queue in the manner of RabbitMQ: what is not acknowledged when a connection ends goes back to the head of the queue,
 * flagged as redelivered. Acknowledgements are messages like others, and are lost with the connection.
 */
export interface SimulatedQueue {
  put(event: ArrivedEvent): void
  driver(process: Process): Driver
  /** Cuts the connections of a process, or all. */
  cut(process?: Process): void
  /** Cuts all and lets nobody in. */
  refuse(): void
  heal(): void
  /** Of all connections, or of those of a process. */
  unacked(process?: Process): number
  ready(): number
}

interface Message {
  readonly event: ArrivedEvent
  redelivered: boolean
}

interface Connection {
  readonly process: Process
  readonly host: DriverHost
  readonly unacked: Map<number, Message>
  isOpen: boolean
  isConsuming: boolean
  isPaused: boolean
  /** Nothing overtakes anything on one connection, in either direction. */
  toBroker: number
  toClient: number
}

const cutOff = (): ControllerError => new ControllerError('SOURCE_CONNECTION_LOST', 'cut by the simulation')

export const createQueue = (network: Network): SimulatedQueue => {
  const { time, chance } = network
  const messages: Message[] = []
  const connections = new Set<Connection>()
  let refuses = false

  const toBroker = (connection: Connection, happen: () => void): void => {
    connection.toBroker = Math.max(connection.toBroker, time.now() + network.delay())
    time.schedule(undefined, connection.toBroker - time.now(), happen)
  }
  const toClient = (connection: Connection, happen: () => void): void => {
    connection.toClient = Math.max(connection.toClient, time.now() + network.delay())
    time.schedule(connection.process, connection.toClient - time.now(), happen)
  }

  const close = (connection: Connection): void => {
    if (!connection.isOpen) return
    connection.isOpen = false
    connections.delete(connection)
    giveBack([...connection.unacked.values()])
    connection.unacked.clear()
  }
  const lose = (connection: Connection): void => {
    close(connection)
    toClient(connection, () => connection.host.lost(cutOff()))
  }
  const giveBack = (back: readonly Message[]): void => {
    for (const message of back) message.redelivered = true
    messages.unshift(...back)
    look()
  }

  const look = (): void => {
    for (const connection of connections) {
      const { unacked, host } = connection
      while (
        connection.isConsuming &&
        !connection.isPaused &&
        messages.length > 0 &&
        unacked.size < host.credit.events
      ) {
        bring(connection, chance.between(1, Math.min(3, messages.length, host.credit.events - unacked.size)))
      }
    }
  }

  const bring = (connection: Connection, size: number): void => {
    const batch = messages.splice(0, size).map((message): Delivery => {
      const receipt = ++receipts
      connection.unacked.set(receipt, message)
      const { event, redelivered } = message
      return { receipt, event: { ...event, data: structuredClone(event.data) }, bytes: 10, redelivered }
    })
    toClient(connection, () => connection.host.deliver(batch))
  }

  const settle = (connection: Connection, batch: readonly Settlement[]): void => {
    if (!connection.isOpen) return
    for (const { receipt, outcome } of batch) {
      const message = connection.unacked.get(receipt)
      connection.unacked.delete(receipt)
      if (message !== undefined && outcome === 'release') giveBack([message])
    }
    look()
  }

  /** A command with an answer; on a connection that is gone it fails. */
  const ask = (connection: Connection, happen: () => void): Promise<void> =>
    new Promise((resolve, reject) => {
      if (!connection.process.says()) return
      toBroker(connection, () => {
        const wasOpen = connection.isOpen
        if (wasOpen) happen()
        toClient(connection, wasOpen ? resolve : () => reject(cutOff()))
      })
    })

  const setPaused = (connection: Connection, isPaused: boolean): void => {
    if (!connection.process.says()) return
    toBroker(connection, () => {
      connection.isPaused = isPaused
      look()
    })
  }

  const linkOf = (connection: Connection) => ({
    consume: () =>
      ask(connection, () => {
        connection.isConsuming = true
        look()
      }),
    settle: (batch: readonly Settlement[]) => {
      if (connection.process.says()) toBroker(connection, () => settle(connection, batch))
    },
    pause: () => setPaused(connection, true),
    resume: () => setPaused(connection, false),
    creditChanged: look,
    cancel: () =>
      ask(connection, () => {
        connection.isConsuming = false
      }),
    disconnect: () => ask(connection, () => close(connection)).catch(() => undefined),
  })

  let receipts = 0
  return {
    put: (event) => {
      messages.push({ event, redelivered: false })
      look()
    },
    driver: (process) => ({
      kind: 'queue.event',
      connect: async (host) => {
        const connection: Connection = {
          process,
          host,
          unacked: new Map(),
          isOpen: true,
          isConsuming: false,
          isPaused: false,
          toBroker: 0,
          toClient: 0,
        }
        await network.ask(process, () => {
          if (refuses || !process.isAlive)
            throw new ControllerError('SOURCE_CONNECT_FAILED', 'refused by the simulation')
          connections.add(connection)
          process.onDeath(() => void time.schedule(undefined, network.delay(), () => close(connection)))
        })
        return linkOf(connection)
      },
    }),
    cut: (process) => {
      for (const connection of [...connections]) {
        if (process === undefined || connection.process === process) lose(connection)
      }
    },
    refuse: () => {
      refuses = true
      for (const connection of [...connections]) lose(connection)
    },
    heal: () => {
      refuses = false
    },
    unacked: (process) =>
      [...connections]
        .filter((connection) => process === undefined || connection.process === process)
        .reduce((sum, { unacked }) => sum + unacked.size, 0),
    ready: () => messages.length,
  }
}
