import type { Intake } from '../../machines/journal.ts'
import type { Finder, Journaled, Page, Watch } from './finder.ts'

/**
 * Events that are in the journal, or may be, and that the controller has not been given. Kept over connections.
 *
 * When a commit fails nobody knows whether it happened. The next poll then looks which events of the page are there and
 * leased to this replica, and brings those; the lock of the source says that the lost transaction has ended by then. So
 * no row is leased to a living replica that does not know of it.
 */
export interface Undelivered {
  page: readonly Journaled[]
}

/** `busy`: another replica polls this source now. */
export type Round = Page | 'busy'

/**
 * One poll: a transaction of the journal in which the finder runs, under the lock of the source. Its statements are many
 * and short, but look costly to the planner: compiling each (`jit`) would take longer than running it.
 */
export const pollOnce = async (
  intake: Intake,
  watch: Watch,
  finder: Finder,
  undelivered: Undelivered,
  limit: number,
): Promise<Round> => {
  const before = undelivered.page
  const round = await intake.transaction(async (tx): Promise<Round> => {
    undelivered.page = before
    const { rows } = await tx.query<{ mine: boolean }>(
      `select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as mine,
        set_config('TimeZone', 'UTC', true), set_config('jit', 'off', true)`,
      [`koksmat:poll:${intake.schema}:${watch.source}`],
    )
    if (rows[0]?.mine !== true) return 'busy'
    if (before.length > 0) {
      const held = await tx.query<{ seq: string }>(
        `select seq::text from ${watch.schema}.event where seq = any($1::bigint[]) and state = 'leased' and lease_by = $2`,
        [before.map((event) => event.seq), before[0]?.lease],
      )
      const seqs = new Set(held.rows.map((row) => row.seq))
      return { events: before.filter((event) => seqs.has(event.seq)), more: true }
    }
    const page = await finder.find(tx, limit)
    undelivered.page = page.events
    return page
  })
  if (round !== 'busy' && before.length === 0) await finder.committed()
  return round
}
