import pg from 'pg'
import type { Ledger } from '../../machines/journal.ts'
import { createJournal as create, type Journal, type JournalOptions } from '../../src/journal/journal.ts'
import { step, stepping } from './steps.ts'

/** The journal, with a step at each call of it, of the transactions under a lock, and around each COMMIT. */
export const createJournal = (options: JournalOptions): Journal => {
  const journal = create(options)
  const { underLock } = journal.ledger
  const ledger: Ledger = {
    ...stepping('ledger', journal.ledger),
    underLock: (lock, settings, run) =>
      underLock(lock, settings, async (tx) => {
        step('ledger.underLock ▸')
        const result = await run(stepping('tx', tx))
        step('ledger.underLock ◂')
        return result
      }),
  }
  const { replica, schema, onWake, ...intake } = journal.intake
  return { ...journal, ledger, intake: { replica, schema, onWake, ...stepping('intake', intake) } }
}

const { query } = pg.Client.prototype
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]): never {
  const [asked] = args
  const text = typeof asked === 'object' && asked !== null && 'text' in asked ? asked.text : asked
  const isCommit = typeof text === 'string' && /^commit/i.test(text)
  if (isCommit) step('commit ▸')
  const answer: unknown = Reflect.apply(query, this, args)
  if (!isCommit || !(answer instanceof Promise)) return answer as never
  return answer.then((result: unknown) => {
    step('commit ◂')
    return result
  }) as never
}
