import type { Delivery, Driver, DriverHost, Link, Settlement } from '../../machines/driver.ts'
import type { ArrivedEvent, EventKind } from '../../machines/event.ts'
import type { Intake } from '../../machines/journal.ts'

/**
 * What stands behind the sources of a test instead of a service. It outlives the controller: what was not settled when
 * the process died is delivered again.
 */
export interface TestBroker {
  /** The broker as one process sees it. */
  driver(): Driver
  put(event: ArrivedEvent): void
}

interface Held {
  readonly event: ArrivedEvent
  redelivered: boolean
}

/** A broker in the manner of RabbitMQ; with `ordered`, events carry their place in a stream as those of Kafka do. */
export const createTestBroker = (kind: EventKind, ordered: boolean): TestBroker => {
  const waiting: Held[] = []
  let bring: () => void = () => undefined
  let positions = 0
  let receipts = 0

  const driver = (): Driver => ({
    kind,
    connect: async (host) => {
      const unsettled = new Map<number, Held>()
      let flowing = false
      const look = (): void => {
        while (flowing && waiting.length > 0 && unsettled.size < host.credit.events) deliver(waiting.shift() as Held)
      }
      const deliver = (held: Held): void => {
        const receipt = ++receipts
        unsettled.set(receipt, held)
        const order = ordered ? { order: { stream: 'test', position: ++positions } } : {}
        host.deliver([deliveryOf(receipt, held, order)])
      }
      const end = async (): Promise<void> => {
        flowing = false
      }
      bring = look
      return {
        consume: async () => {
          flowing = true
          look()
        },
        settle: (batch) => {
          for (const { receipt, outcome } of batch) {
            const held = unsettled.get(receipt)
            unsettled.delete(receipt)
            if (held !== undefined && outcome === 'release') giveBack([held])
          }
          look()
        },
        pause: () => {
          flowing = false
        },
        resume: () => {
          flowing = true
          look()
        },
        creditChanged: look,
        cancel: end,
        disconnect: async () => {
          flowing = false
          giveBack([...unsettled.values()])
          unsettled.clear()
        },
      }
    },
  })
  const giveBack = (held: readonly Held[]): void => {
    waiting.unshift(...held)
    for (const each of held) each.redelivered = true
  }
  return {
    driver,
    put: (event) => {
      waiting.push({ event, redelivered: false })
      bring()
    },
  }
}

/** A webhook or a database poller: what it takes is written to the journal first, and handed over with its row. */
export const createDurableDoor = (kind: EventKind, intake: Intake) => {
  let host: DriverHost | undefined
  let receipts = 0
  const close = async (): Promise<void> => {
    host = undefined
  }
  const driver: Driver = {
    kind,
    connect: async (connecting) => ({
      consume: async () => {
        host = connecting
      },
      settle: () => undefined,
      pause: () => undefined,
      resume: () => undefined,
      creditChanged: () => undefined,
      cancel: close,
      disconnect: close,
    }),
  }
  return {
    driver,
    /** False: a duplicate. */
    take: async (event: ArrivedEvent): Promise<boolean> => {
      const acceptance = await intake.accept({ event }, acceptWithinMs)
      if (acceptance.status === 'duplicate') return false
      host?.deliver([deliveryOf(++receipts, { event, redelivered: false }, { row: acceptance.row })])
      return true
    },
  }
}

const acceptWithinMs = 2_500

const deliveryOf = (receipt: number, { event, redelivered }: Held, more: Partial<Delivery>): Delivery => ({
  receipt,
  event: { ...event, data: structuredClone(event.data) },
  bytes: JSON.stringify(event.data)?.length ?? 0,
  redelivered,
  ...more,
})

/** A driver that tells of its links, of what it delivers, and how each delivery was settled. */
export const observed = (driver: Driver, seen: Observer): Driver => ({
  kind: driver.kind,
  connect: async (host) => {
    const deliveries = new Map<number, Delivery>()
    const link = await driver.connect({
      ...host,
      get credit() {
        return host.credit
      },
      deliver: (batch) => {
        for (const delivery of batch) {
          deliveries.set(delivery.receipt, delivery)
          seen.delivered(delivery)
        }
        host.deliver(batch)
      },
    })
    seen.connected(link)
    return {
      ...link,
      settle: (batch) => {
        link.settle(batch)
        for (const settlement of batch) {
          const delivery = deliveries.get(settlement.receipt)
          deliveries.delete(settlement.receipt)
          if (delivery !== undefined) seen.settled(delivery, settlement)
        }
      },
    }
  },
})

interface Observer {
  connected(link: Link): void
  delivered(delivery: Delivery): void
  settled(delivery: Delivery, settlement: Settlement): void
}
