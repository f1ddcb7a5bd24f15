import type { Delivery, Driver } from '../../machines/driver.ts'
import type { ArrivedEvent } from '../../machines/event.ts'

/**
 * A broker without IO: a batch whenever there is credit for a whole one, in a turn of its own as a socket would.
 */
interface FakeOptions {
  readonly events: number
  /** Events of a batch (default 100). */
  readonly batchSize?: number
  /** So many come in the first turn; what comes later replaces what was settled, so that so many wait. */
  readonly first?: number
  /** At most one batch in this time. */
  readonly everyMs?: number
  /** What is particular about an event. */
  readonly more?: (no: number) => Partial<ArrivedEvent>
}

export const createFakeDriver = ({
  events,
  batchSize = 100,
  first = batchSize,
  everyMs = 0,
  more = () => ({}),
}: FakeOptions): Driver => ({
  kind: 'queue.event',
  connect: async (host) => {
    let next = 0
    let inFlight = 0
    let consuming = false
    let turn: NodeJS.Immediate | NodeJS.Timeout | undefined

    const look = (): void => {
      if (!consuming || turn !== undefined || next >= events) return
      if (inFlight + (next === 0 ? first : batchSize) > host.credit.events) return
      turn = everyMs === 0 ? setImmediate(bring) : setTimeout(bring, everyMs)
    }
    const bring = (): void => {
      turn = undefined
      if (!consuming) return
      const until = Math.min(next + (next === 0 ? first : batchSize), events)
      while (next < until) {
        const size = Math.min(batchSize, until - next)
        const batch = Array.from({ length: size }, () => deliveryOf(host.source, ++next, more))
        inFlight += size
        host.deliver(batch)
      }
      look()
    }
    const end = async (): Promise<void> => {
      consuming = false
      if (everyMs === 0) clearImmediate(turn as NodeJS.Immediate)
      else clearTimeout(turn as NodeJS.Timeout)
    }
    const resume = (): void => {
      consuming = true
      look()
    }
    return {
      consume: async () => resume(),
      settle: (batch) => {
        inFlight -= batch.length
        look()
      },
      pause: () => {
        consuming = false
      },
      resume,
      creditChanged: look,
      cancel: end,
      disconnect: end,
    }
  },
})

const deliveryOf = (via: string, no: number, more: (no: number) => Partial<ArrivedEvent>): Delivery => ({
  receipt: no,
  bytes: 100,
  redelivered: false,
  event: {
    id: String(no),
    source: `koksmat:${via}`,
    type: 'bench.event',
    data: { no },
    kind: 'queue.event',
    via,
    identified: true,
    ...more(no),
  },
})
