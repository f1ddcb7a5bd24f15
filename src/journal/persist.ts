import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '../../machines/journal.ts'
import { isTransient, unavailable } from './failures.ts'
import type { Pool } from './pool.ts'
import { attempt, wasCommitted } from './transaction.ts'

/** Trying again until it is done, the journal is closed, or (`transaction`) it was tried often enough. */
export interface Persistence {
  untilDone<Result>(run: () => Promise<Result>): Promise<Result>
  once<Result>(run: (tx: Queryable) => Promise<Result>): Promise<Result>
  transaction<Result>(run: (tx: Queryable) => Promise<Result>): Promise<Result>
}

const maxBackoffMs = 1_000
const maxTries = 3

/** Nothing is written before the journal is `open`: until then this process is no replica, and would own nothing. */
export const createPersistence = (pool: Pool, closing: AbortSignal, open: Promise<void>): Persistence => {
  setMaxListeners(0, closing)
  const usable = Promise.race([open, new Promise((resolve) => closing.addEventListener('abort', resolve))])

  const again = async <Result>(run: () => Promise<Result>, tries: number): Promise<Result> => {
    await usable
    for (let tried = 1; ; tried++) {
      if (closing.aborted) throw unavailable()
      try {
        return await run()
      } catch (thrown) {
        if (!isTransient(thrown)) throw thrown
        if (tried >= tries || closing.aborted) throw unavailable(thrown)
        await sleep(backoffMs(tried), undefined, { signal: closing }).catch(() => undefined)
      }
    }
  }

  const untilDone: Persistence['untilDone'] = (run) => again(run, Number.POSITIVE_INFINITY)

  const effective = async <Result>(run: (tx: Queryable) => Promise<Result>): Promise<Result> => {
    const ended = await attempt(pool, run)
    if (ended.status === 'committed') return ended.result
    const committed = await untilDone(() => wasCommitted(pool, ended.number))
    if (!committed) throw ended.error
    return ended.result
  }

  return {
    untilDone,
    once: (run) => untilDone(() => effective(run)),
    transaction: (run) => again(() => effective(run), maxTries),
  }
}

const backoffMs = (tried: number): number => Math.random() * Math.min(maxBackoffMs, 25 * 2 ** Math.min(tried, 10))
