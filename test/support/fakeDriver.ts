import type { Delivery, Driver, DriverHost, Settlement } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { EventKind } from '../../machines/event.ts'

/**
 * A driver without a service behind it: the test says what the service does, and sees what the driver was told.
 * It can break its contract on demand by never answering a command.
 */
export interface FakeDriver {
  readonly driver: Driver
  /** The commands in the order they came. */
  readonly calls: readonly string[]
  readonly settled: readonly Settlement[]
  /** What the link may have in flight now. */
  credit(): number | undefined
  /** Brings so many events, 10 bytes each. */
  deliver(count: number): void
  /** The service cuts the connection. */
  lose(): void
  /** How many connects from now on fail. */
  refuse(count: number): void
  /** This command gets no answer from now on. */
  silence(command: 'connect' | 'cancel' | 'disconnect'): void
}

export const createFakeDriver = (kind: EventKind = 'queue.event'): FakeDriver => {
  const calls: string[] = []
  const settled: Settlement[] = []
  const silent = new Set<string>()
  let host: DriverHost | undefined
  let refusals = 0
  let receipt = 0

  const answer = async (command: string): Promise<void> => {
    calls.push(command)
    if (silent.has(command)) await new Promise<never>(() => undefined)
  }

  const delivery = (): Delivery => ({
    receipt: ++receipt,
    event: { id: String(receipt), source: 'test', type: 'test.event', data: {}, kind, via: 'fake', identified: true },
    bytes: 10,
    redelivered: false,
  })

  return {
    calls,
    settled,
    driver: {
      kind,
      connect: async (caller) => {
        await answer('connect')
        if (refusals-- > 0) throw new ControllerError('SOURCE_CONNECT_FAILED', 'refused by the test')
        host = caller
        return {
          consume: () => answer('consume'),
          settle: (batch) => {
            settled.push(...batch)
          },
          pause: () => void calls.push('pause'),
          resume: () => void calls.push('resume'),
          creditChanged: () => void calls.push(`credit ${caller.credit.events}`),
          cancel: () => answer('cancel'),
          disconnect: () => answer('disconnect'),
        }
      },
    },
    credit: () => host?.credit.events,
    deliver: (count) => host?.deliver(Array.from({ length: count }, delivery)),
    lose: () => host?.lost(new ControllerError('SOURCE_CONNECTION_LOST', 'cut by the test')),
    refuse: (count) => {
      refusals = count
    },
    silence: (command) => void silent.add(command),
  }
}
