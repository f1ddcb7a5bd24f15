import { setImmediate as turn } from 'node:timers/promises'
import type { Delivery, Driver, DriverHost, Link, Settlement } from '../machines/driver.ts'
import { toControllerError } from '../machines/errors.ts'
import type { Claimed, Intake } from '../machines/journal.ts'
import { nextPollDelayMs } from '../machines/policies.ts'

/**
 * The table queue: events that wait in a queue of the journal, put there by `koksmat.enqueue(…)` in an application's own
 * transaction, or by the controller itself (retries, emitted events, orphans of a dead replica).
 *
 * Pages of due rows are leased, within the free credit: at the start, when NOTIFY says so, at once again after a full
 * page or when enough credit comes back after one, and otherwise when the poll falls due. One claim at a time, and the
 * next is asked for before a page is handed over, so that Postgres works while handlers do.
 *
 * A row is settled in the journal, by whoever handled its event; the driver hears of it only to count its credit.
 */
export interface TableQueueOptions {
  readonly queue: string
  /** Between polls: `min` while there is work, doubled with each empty poll up to `max`. */
  readonly pollMs: { readonly min: number; readonly max: number }
}

const maxPage = 1_000
/** The size of an event, until the first page tells. */
const assumedBytes = 64 * 1024

export const createTableQueueDriver = (options: TableQueueOptions, intake: Intake): Driver => {
  let receipts = 0
  const nextReceipt = (): number => ++receipts
  return {
    kind: 'queue.event',
    connect: async (host) => {
      try {
        await intake.claim(options.queue, 0)
      } catch (thrown) {
        throw toControllerError(thrown, 'SOURCE_CONNECT_FAILED')
      }
      return createLink(options, intake, host, nextReceipt)
    },
  }
}

const createLink = (options: TableQueueOptions, intake: Intake, host: DriverHost, nextReceipt: () => number): Link => {
  const { queue, pollMs } = options
  /** Receipts, and the bytes of each. */
  const unsettled = new Map<number, number>()
  let unsettledBytes = 0
  let averageBytes = assumedBytes
  let stage: 'connected' | 'consuming' | 'paused' | 'over' = 'connected'
  let claiming: Promise<void> | undefined
  let again = false
  let pageWasFull = false
  let emptyPolls = 0
  let timer: NodeJS.Timeout | undefined

  const look = (): void => {
    again = true
    if (claiming !== undefined) return
    const page = claimPage()
    if (page === undefined) return
    clearTimeout(timer)
    claiming = claimAll(page)
  }

  const claimAll = async (first: Promise<readonly Delivery[]>): Promise<void> => {
    try {
      let page: typeof first | undefined = first
      while (page !== undefined) {
        const deliveries = await page
        page = claimPage()
        page?.catch(() => undefined)
        // By then the claim has reached the socket.
        await turn()
        if (deliveries.length > 0) host.deliver(deliveries)
        page ??= claimPage()
      }
    } catch (thrown) {
      lose(thrown)
    }
    claiming = undefined
    if (stage !== 'consuming') return
    const policy = { minMs: pollMs.min, maxMs: pollMs.max }
    timer = setTimeout(look, nextPollDelayMs(policy, emptyPolls, Math.random()))
  }

  const claimPage = (): Promise<readonly Delivery[]> | undefined => {
    if (!again || stage !== 'consuming') return undefined
    again = false
    const limit = Math.min(pageSize(), freeCredit())
    pageWasFull ||= limit <= 0
    return limit > 0 ? claimUpTo(limit) : undefined
  }

  const claimUpTo = async (limit: number): Promise<readonly Delivery[]> => {
    const page = await intake.claim(queue, limit)
    pageWasFull = page.length === limit
    emptyPolls = page.length > 0 ? 0 : emptyPolls + 1
    again ||= pageWasFull
    if (page.length > 0) averageBytes = Math.max(1, page.reduce((sum, { bytes }) => sum + bytes, 0) / page.length)
    return page.map(deliveryOf)
  }

  /** Half of what the credit allows: one page is claimed while the other is handled. */
  const pageSize = (): number => {
    const capacity = Math.min(host.credit.events, Math.floor(host.credit.bytes / averageBytes))
    return Math.min(maxPage, Math.max(1, Math.ceil(capacity / 2)))
  }

  /** In events; a page of unknown size is limited by what events have weighed so far. */
  const freeCredit = (): number => {
    const fitting = Math.floor((host.credit.bytes - unsettledBytes) / averageBytes)
    return Math.min(maxPage, host.credit.events - unsettled.size, unsettled.size === 0 ? Math.max(1, fitting) : fitting)
  }

  const deliveryOf = (claimed: Claimed): Delivery => {
    const receipt = nextReceipt()
    unsettled.set(receipt, claimed.bytes)
    unsettledBytes += claimed.bytes
    // Whoever enqueues knows the queue's name, not that of the source that listens to it.
    if (claimed.event.via !== queue) return { ...claimed, receipt }
    return { ...claimed, event: { ...claimed.event, via: host.source }, receipt }
  }

  const lose = (thrown: unknown): void => {
    if (stage === 'over') return
    end()
    host.lost(toControllerError(thrown, 'SOURCE_CONNECTION_LOST'))
  }

  const end = (): void => {
    stage = 'over'
    clearTimeout(timer)
    stopWaking()
  }

  const stopWaking = intake.onWake(queue, look)

  const cancel = async (): Promise<void> => {
    end()
    await claiming
  }

  return {
    consume: async () => {
      if (stage !== 'connected') return
      stage = 'consuming'
      look()
    },
    settle: (batch: readonly Settlement[]) => {
      for (const { receipt } of batch) {
        unsettledBytes -= unsettled.get(receipt) ?? 0
        unsettled.delete(receipt)
      }
      if (pageWasFull && freeCredit() >= pageSize() / 2) look()
    },
    pause: () => {
      if (stage !== 'consuming') return
      stage = 'paused'
      clearTimeout(timer)
    },
    resume: () => {
      if (stage !== 'paused') return
      stage = 'consuming'
      look()
    },
    creditChanged: () => {
      if (pageWasFull) look()
    },
    cancel,
    disconnect: cancel,
  }
}
