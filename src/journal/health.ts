import type { JournalHealth } from '../../machines/journal.ts'
import { isConnectionLoss, isTimeout, unavailable } from './failures.ts'

/**
 * Whether the journal answers, told by the queries that are made anyway. A connection that was cut proves nothing yet:
 * it asks again at once, and says "down" only when that fails too. While it is down it keeps asking by itself, so that
 * someone who waits for it to come back hears of it.
 */
export interface Health {
  answered(): void
  failed(thrown: unknown): void
  isDown(): boolean
  stop(): void
}

const minProbeMs = 100
const maxProbeMs = 1_000

export const createHealth = (tell: (health: JournalHealth) => void, probe: () => Promise<unknown>): Health => {
  let state: 'up' | 'doubted' | 'down' | 'stopped' = 'up'
  let timer: NodeJS.Timeout | undefined

  const ask = async (waitMs: number): Promise<void> => {
    try {
      await probe()
    } catch (thrown) {
      if (state === 'doubted') goDown(thrown)
      if (state === 'down') timer = setTimeout(ask, waitMs, Math.min(maxProbeMs, waitMs * 2))
    }
  }

  const goDown = (thrown: unknown): void => {
    state = 'down'
    tell({ up: false, error: unavailable(thrown) })
  }

  return {
    answered: () => {
      if (state === 'stopped' || state === 'up') return
      const wasDown = state === 'down'
      state = 'up'
      clearTimeout(timer)
      if (wasDown) tell({ up: true })
    },
    failed: (thrown) => {
      if (state !== 'up' || !isConnectionLoss(thrown)) return
      state = 'doubted'
      if (isTimeout(thrown)) goDown(thrown)
      void ask(minProbeMs)
    },
    isDown: () => state === 'down',
    stop: () => {
      state = 'stopped'
      clearTimeout(timer)
    },
  }
}
