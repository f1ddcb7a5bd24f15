import type { Delivery, DriverHost, Link, Settlement } from '../../machines/driver.ts'
import { nextPollDelayMs } from '../../machines/policies.ts'
import type { Journaled } from './finder.ts'
import type { PollCommon } from './options.ts'
import { pollError } from './pollError.ts'
import { forget, type Round, type Undelivered } from './round.ts'

/**
 * When to poll, and what becomes of a page. One poll at a time, never for more rows than there is free credit:
 *
 * - at once when `consume` says so, when NOTIFY wakes, and after a full page;
 * - after a full page for which there is no room: as soon as there is for half a page, so that pages stay large;
 * - otherwise after the adaptive delay, with whatever credit there is.
 *
 * A page is handed over when the next poll has been asked for, so that Postgres works while handlers do; at once where
 * there is none. A poll that fails is the end of the link; what it leaves undelivered comes first in the next one.
 */
export interface PollLink extends Link {
  /** Something may have come: poll without waiting. */
  wake(): void
  /** The connection is gone. Told to the host once. */
  lose(thrown: unknown): void
}

export interface PollLinkParts {
  readonly host: DriverHost
  readonly options: Pick<PollCommon, 'pollMs'>
  /** Most rows of a poll now; no more than the credit. */
  pageSize(): number
  readonly undelivered: Undelivered
  /** Unique for the life of the process. */
  nextReceipt(): number
  recover(): Promise<Round>
  poll(limit: number, asked: () => void): Promise<Round>
  /** Closes the connections of the link, in bounded time. Legal twice. */
  close(): Promise<void>
}

export const createPollLink = (parts: PollLinkParts): PollLink => {
  const { host, options, pageSize, undelivered, nextReceipt, recover, poll, close } = parts
  const inFlight = new Set<number>()
  let state: 'connected' | 'consuming' | 'cancelled' | 'over' = 'connected'
  let paused = false
  let due = false
  let more = false
  let recovered = undelivered.length === 0
  let held: { readonly events: readonly Journaled[]; readonly batch: readonly Delivery[] } | undefined
  let emptyPolls = 0
  let timer: NodeJS.Timeout | undefined
  let underWay: Promise<void> | undefined

  const rest = (): void => {
    clearTimeout(timer)
    timer = undefined
  }
  const fallDue = (): void => {
    timer = undefined
    due = true
    next()
  }

  const isPolling = (): boolean => state === 'consuming' && !paused

  const next = (): void => {
    if (underWay !== undefined) return
    const room = host.credit.events - inFlight.size
    if (isPolling() && room > 0 && (due || (more && room >= pageSize() / 2))) {
      rest()
      due = false
      underWay = run(Math.min(room, pageSize())).then(() => {
        underWay = undefined
        next()
      })
      return
    }
    handOver()
    if (isPolling() && !due && timer === undefined) {
      timer = setTimeout(fallDue, nextPollDelayMs(toPolicy(options), emptyPolls, Math.random()))
    }
  }

  const run = async (limit: number): Promise<void> => {
    try {
      const startedAt = performance.now()
      const round = await (recovered ? poll(limit, handOver) : recover())
      if (round === 'busy') {
        more = false
        return
      }
      recovered = true
      take(round.events)
      more = round.more
      emptyPolls = round.events.length === 0 ? emptyPolls + 1 : 0
      const tookMs = Math.round(performance.now() - startedAt)
      host.log.debug({ events: round.events.length, more, tookMs }, 'polled')
    } catch (thrown) {
      lose(thrown)
    }
  }

  const take = (events: readonly Journaled[]): void => {
    const batch = events.map((event) => toDelivery(event, host.source, nextReceipt()))
    for (const { receipt } of batch) inFlight.add(receipt)
    held = { events, batch }
  }

  const handOver = (): void => {
    if (held === undefined || state === 'over') return
    const { events, batch } = held
    held = undefined
    forget(undelivered, events)
    if (batch.length > 0) host.deliver(batch)
  }

  const end = (): void => {
    state = 'over'
    rest()
  }

  const lose = (thrown: unknown): void => {
    if (state === 'over') return
    end()
    close().catch(() => undefined)
    host.lost(pollError(thrown, 'SOURCE_CONNECTION_LOST'))
  }

  return {
    consume: () => {
      if (state === 'connected') state = 'consuming'
      due = true
      next()
      return Promise.resolve()
    },
    settle: (batch: readonly Settlement[]) => {
      for (const { receipt } of batch) inFlight.delete(receipt)
      next()
    },
    pause: () => {
      paused = true
      rest()
    },
    resume: () => {
      paused = false
      next()
    },
    creditChanged: next,
    cancel: async () => {
      if (state !== 'over') state = 'cancelled'
      rest()
      await underWay
    },
    disconnect: async () => {
      end()
      await close()
      await underWay
    },
    wake: () => {
      due = true
      emptyPolls = 0
      next()
    },
    lose,
  }
}

const toPolicy = ({ pollMs }: Pick<PollCommon, 'pollMs'>): { minMs: number; maxMs: number } => ({
  minMs: pollMs.min,
  maxMs: pollMs.max,
})

const toDelivery = (found: Journaled, source: string, receipt: number): Delivery => {
  const { id, key, type, data, json, extensions, error, seq, lease } = found
  return {
    receipt,
    event: {
      id,
      source: `koksmat:${source}`,
      type,
      data,
      partitionkey: key,
      ...(extensions === undefined ? {} : { extensions }),
      kind: 'database.trigger',
      via: source,
      identified: true,
    },
    bytes: Buffer.byteLength(json),
    redelivered: false,
    row: { seq, lease, attempts: 0 },
    ...(error === undefined ? {} : { defect: { error, raw: Buffer.from(json) } }),
  }
}
