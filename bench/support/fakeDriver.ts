import type { Delivery, Driver } from '../../machines/driver.ts'

/**
 * A broker without IO: a batch whenever there is credit for a whole one, in a turn of its own as a socket would, or at
 * most one each `everyMs`.
 */
export const createFakeDriver = (
  events: number,
  batchSize: number,
  typeOf: (no: number) => string = () => 'bench.event',
  everyMs = 0,
): Driver => ({
  kind: 'queue.event',
  connect: async (host) => {
    let next = 0
    let inFlight = 0
    let consuming = false
    let turn: NodeJS.Immediate | NodeJS.Timeout | undefined

    const look = (): void => {
      if (!consuming || turn !== undefined || next >= events) return
      if (inFlight + batchSize > host.credit.events) return
      turn = everyMs === 0 ? setImmediate(bring) : setTimeout(bring, everyMs)
    }
    const bring = (): void => {
      turn = undefined
      if (!consuming) return
      const size = Math.min(batchSize, events - next)
      const batch = Array.from({ length: size }, () => deliveryOf(host.source, ++next, typeOf))
      inFlight += size
      host.deliver(batch)
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

const deliveryOf = (via: string, no: number, typeOf: (no: number) => string): Delivery => ({
  receipt: no,
  bytes: 100,
  redelivered: false,
  event: {
    id: String(no),
    source: `koksmat:${via}`,
    type: typeOf(no),
    data: { no },
    kind: 'queue.event',
    via,
    identified: true,
  },
})
