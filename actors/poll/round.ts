import { setImmediate as turn } from 'node:timers/promises'
import type { Intake, Queryable } from '../../machines/journal.ts'
import type { Finder, Journaled, Page, Watch } from './finder.ts'

/**
 * Pages of events that are in the journal, or may be, and that the controller has not been given. Kept over connections.
 *
 * When a commit fails nobody knows whether it happened. So the next connection looks first which of these events are
 * there and leased to this replica, and brings those; the lock of the source says that the lost transaction has ended by
 * then. No row stays leased to a living replica that does not know of it.
 */
export type Undelivered = (readonly Journaled[])[]

/** `busy`: another replica polls this source now. */
export type Round = Page | 'busy'

export interface PollParts {
  readonly intake: Intake
  readonly watch: Watch
  readonly finder: Finder
  readonly undelivered: Undelivered
}

/**
 * A transaction of the journal under the lock of the source. Its statements are many and short, but look costly to the
 * planner: compiling each (`jit`) would take longer than running it.
 */
const alone = ({ intake, watch }: PollParts, run: (tx: Queryable) => Promise<Page>): Promise<Round> =>
  intake.transaction(async (tx) => {
    const { rows } = await tx.query<{ mine: boolean }>(
      `select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as mine,
        set_config('TimeZone', 'UTC', true), set_config('jit', 'off', true)`,
      [`koksmat:poll:${intake.schema}:${watch.source}`],
    )
    return rows[0]?.mine === true ? run(tx) : 'busy'
  })

/**
 * One poll. `asked` is called a turn after its statement was, when that has reached the socket: Postgres works on it then.
 * Again each time that the transaction is repeated.
 */
export const pollOnce = async (parts: PollParts, limit: number, asked: () => void): Promise<Round> => {
  const { finder, undelivered } = parts
  let events: readonly Journaled[] = []
  const round = await alone(parts, async (tx) => {
    forget(undelivered, events)
    const [page] = await Promise.all([finder.find(tx, limit), turn().then(asked)])
    events = page.events
    undelivered.push(events)
    return page
  })
  if (round !== 'busy') await finder.committed()
  return round
}

export const forget = (undelivered: Undelivered, page: readonly Journaled[]): void => {
  const at = undelivered.indexOf(page)
  if (at >= 0) undelivered.splice(at, 1)
}

/** What the connection before has left undelivered, as one page. */
export const recover = async (parts: PollParts): Promise<Round> => {
  const { watch, undelivered } = parts
  const left = undelivered.flat()
  const round = await alone(parts, async (tx) => {
    const { rows } = await tx.query<{ seq: string }>(
      `select seq::text from ${watch.schema}.event where seq = any($1::bigint[]) and state = 'leased' and lease_by = $2`,
      [left.map((event) => event.seq), left[0]?.lease],
    )
    const seqs = new Set(rows.map((row) => row.seq))
    return { events: left.filter((event) => seqs.has(event.seq)), more: true }
  })
  if (round === 'busy') return round
  undelivered.splice(0, undelivered.length, round.events)
  return round
}
