import { setTimeout as sleep } from 'node:timers/promises'
import { fromCallback } from 'xstate'
import { toControllerError } from '../../machines/errors.ts'
import type { JournalHealth } from '../../machines/journal.ts'
import { nextBackoffMs } from '../../machines/policies.ts'
import type { JournalCommand, JournalFact } from '../../machines/protocol.ts'
import type { Journal } from '../journal/journal.ts'
import type { ControllerLog } from '../log.ts'

/**
 * The journal as a child of the controller: opens it, however long that takes, tells when it comes and goes, closes it
 * when told.
 */
export interface JournalActorParts {
  readonly journal: Pick<Journal, 'open' | 'close'>
  readonly log: ControllerLog
  /** Runs once after the journal has opened, before it is up. */
  prepare(): Promise<void>
  /** The first try to open has ended, well or not. */
  onAnswered(): void
  /** Where the journal reports its health from now on. */
  onHealth(listener: (health: JournalHealth) => void): void
}

const backoff = { minMs: 200, maxMs: 2_000 }

export const journalLogic = ({ journal, log, prepare, onAnswered, onHealth }: JournalActorParts) =>
  fromCallback<JournalCommand>(({ sendBack, receive }) => {
    const closing = new AbortController()
    const tell = (fact: JournalFact): void => sendBack(fact)

    const open = async (): Promise<void> => {
      for (let failures = 1; !closing.signal.aborted; failures++) {
        try {
          await journal.open()
          await prepare()
          tell({ type: 'journal.up' })
          onAnswered()
          return
        } catch (thrown) {
          const error = toControllerError(thrown, 'JOURNAL_UNAVAILABLE')
          if (failures === 1) log.warn({ code: error.code, reason: error.message }, 'journal not open yet')
          tell({ type: 'journal.down', error })
          onAnswered()
        }
        await sleep(nextBackoffMs(backoff, failures, Math.random()), undefined, { signal: closing.signal }).catch(
          () => {},
        )
      }
    }

    const close = async (): Promise<void> => {
      closing.abort()
      try {
        await journal.close()
      } catch (thrown) {
        log.warn({ err: thrown }, 'journal closed with an error')
      }
      tell({ type: 'journal.closed' })
    }

    onHealth((health) => {
      if (closing.signal.aborted) return
      if (health.up) log.info({}, 'journal is back')
      else log.warn({ code: health.error.code, reason: health.error.message }, 'journal does not answer')
      tell(health.up ? { type: 'journal.up' } : { type: 'journal.down', error: health.error })
    })
    receive(() => void close())
    void open()
  })
