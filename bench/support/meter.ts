import type { Delivery, Driver } from '../../machines/driver.ts'
import type { Latency } from '../workload.ts'
import { latencyOf } from './measure.ts'

/** Stands around the drivers of a run, and sees what reaches them. */
export interface Meter {
  on(driver: Driver): Driver
  /** Resolves with the last of so many settlements, and rejects by `fail`. */
  readonly reached: Promise<Latency | undefined>
  fail(thrown: unknown): void
}

/** A time that processes of one machine share. */
export const sharedNow = (): number => performance.timeOrigin + performance.now()

/**
 * `timedAfter`: each event says in its data when it was sent, on the clock of `sharedNow`; so many, the first that are
 * settled, are not told of.
 */
export const createMeter = (
  settlements: number,
  timedAfter: number | undefined,
  told?: (count: number) => void,
): Meter => {
  const timed = timedAfter !== undefined
  const { promise, resolve, reject } = Promise.withResolvers<Latency | undefined>()
  const sentAt = new Map<number, number>()
  const millis: number[] = []
  let settled = 0

  const noteSent = (batch: readonly Delivery[]): void => {
    for (const { receipt, event } of batch) sentAt.set(receipt, (event.data as { readonly sentAt: number }).sentAt)
  }

  const on = (driver: Driver): Driver => ({
    kind: driver.kind,
    connect: async (host) => {
      const deliver = (batch: readonly Delivery[]): void => {
        noteSent(batch)
        host.deliver(batch)
      }
      const link = await driver.connect(timed ? { ...host, deliver } : host)
      return {
        consume: link.consume,
        pause: link.pause,
        resume: link.resume,
        creditChanged: link.creditChanged,
        cancel: link.cancel,
        disconnect: link.disconnect,
        settle: (batch) => {
          link.settle(batch)
          settled += batch.length
          if (timed) {
            const now = sharedNow()
            for (const { receipt } of batch) {
              millis.push(now - (sentAt.get(receipt) ?? now))
              sentAt.delete(receipt)
            }
          }
          told?.(batch.length)
          if (settled >= settlements) resolve(timed ? latencyOf(millis.slice(timedAfter)) : undefined)
        },
      }
    },
  })
  return { on, reached: promise, fail: reject }
}
