import type { Driver } from '../../machines/driver.ts'
import type { Ledger } from '../../machines/journal.ts'
import type { Latency, OpenSide, Run } from '../workload.ts'
import { handlerOf, walk } from './walk.ts'

/** A source with something that sends to it; both live through all runs of a side. */
export interface Entrance {
  readonly ledger: Ledger
  /** So many come before the others in each run, and are not measured (default 1). */
  readonly first?: number
  driver(): Driver
  /** Each event says in its data when it was due (`sentAt`). */
  send(events: number, perSecond: number | undefined): Promise<unknown>
  close(): Promise<void>
}

/**
 * How long an event takes from the moment it is sent to its settlement, at half of what the same entrance takes when
 * all is sent as fast as it goes; that is found out whenever a side opens. What comes first is not measured: it shows that
 * the source is connected and takes some.
 */
export const atHalfLoad =
  (open: () => Promise<Entrance>): OpenSide =>
  async (events) => {
    const { ledger, first = 1, driver, send, close } = await open()
    const handlers = [handlerOf(async () => undefined)]
    const runAt = async (perSecond: number | undefined): Promise<Run> => {
      const taken = Promise.withResolvers<void>()
      let count = 0
      const settled = (more: number): void => {
        count += more
        if (count >= first) taken.resolve()
      }
      const run = walk({ driver: driver(), handlers, ledger, events: first + events, timedAfter: first, settled })
      const reached = run.go()
      await send(first, undefined)
      await taken.promise
      const go = async (): Promise<Partial<Latency> | undefined> => {
        const [told] = await Promise.all([reached, send(events, perSecond)])
        return told
      }
      return { go, end: run.end }
    }
    const fullSpeed = async (): Promise<number> => {
      const run = await runAt(undefined)
      const startedAt = performance.now()
      await run.go()
      const seconds = (performance.now() - startedAt) / 1_000
      await run.end()
      return events / seconds
    }
    await fullSpeed()
    const half = (await fullSpeed()) / 2
    return { prepare: () => runAt(half), close }
  }

/** Closes what an entrance is made of, the last of it first. */
export const closing =
  (...parts: readonly { close(): Promise<void> }[]) =>
  async (): Promise<void> => {
    for (const part of parts.toReversed()) await part.close()
  }
