import type { JournalHealth } from '../../machines/journal.ts'
import { isConnectionLoss, unavailable } from './failures.ts'

/**
 * Whether the journal answers, told by the queries that are made anyway. Only while it is down does it ask by itself
 * (`probe`), so that someone who waits for it to come back hears of it.
 */
export interface Health {
  answered(): void
  failed(thrown: unknown): void
  stop(): void
}

const minProbeMs = 100
const maxProbeMs = 2_000

export const createHealth = (tell: (health: JournalHealth) => void, probe: () => Promise<unknown>): Health => {
  let up = true
  let stopped = false
  let waitMs = minProbeMs
  let timer: NodeJS.Timeout | undefined

  const probeLater = (): void => {
    timer = setTimeout(() => {
      probe().catch(() => {
        if (stopped || up) return
        waitMs = Math.min(maxProbeMs, waitMs * 2)
        probeLater()
      })
    }, waitMs)
  }

  return {
    answered: () => {
      if (up || stopped) return
      up = true
      clearTimeout(timer)
      tell({ up: true })
    },
    failed: (thrown) => {
      if (!up || stopped || !isConnectionLoss(thrown)) return
      up = false
      waitMs = minProbeMs
      tell({ up: false, error: unavailable(thrown) })
      probeLater()
    },
    stop: () => {
      stopped = true
      clearTimeout(timer)
    },
  }
}
