import type { JournalRow } from '../../machines/driver.ts'
import { type ArrivedEvent, identityOf } from '../../machines/event.ts'
import type { Ledger } from '../../machines/journal.ts'
import type { Base } from './base.ts'
import { storedIdentity } from './rows.ts'
import { keysOf } from './steps.ts'

/**
 * What is known about an event before it runs: how often a process died with it, and whether it succeeded already.
 *
 * A run that was recorded and whose replica is gone was a death. A replica counts as gone when its advisory lock is
 * free, so a crash is seen at once and a connection that was merely cut is no death; where sessions are pooled, every
 * other replica counts as gone. After a death the next run is recorded only by `beginAlone`, so that the events beside
 * the guilty one are not blamed.
 */
export const createBegun = (base: Base): Pick<Ledger, 'begin' | 'beginAlone' | 'seen' | 'checkpoint'> => {
  const { quoted } = base.names
  const lives = `exists (select from ${quoted}.replica r where r.id = b.lease_by and (r.id = $3
    or r.session and not pg_try_advisory_xact_lock_shared(${quoted}.replica_key(r.id))))`
  const died = `b.lease_by is not null and not ${lives}`
  const beginText = `
    insert into ${quoted}.begun as b (ce_source, id, lease_by)
    select ce_source, id, $3 from unnest($1::text[], $2::text[]) as new (ce_source, id) order by 1, 2
    on conflict (ce_source, id) do update set at = now(),
      (deaths, lease_by) = (
        select total, case when total = 0 then $3::bigint end
        from (select b.deaths + case when ${died} then 1 else 0 end as total) as counted)
    returning ce_source as source, id, deaths`
  const aloneText = `
    insert into ${quoted}.begun (ce_source, id, lease_by) select ce_source, id, $3 from unnest($1::text[], $2::text[]) as new (ce_source, id)
    on conflict (ce_source, id) do update set at = now(), lease_by = excluded.lease_by`
  const seenText = `
    select ce_source as source, id from ${quoted}.seen
    join unnest($1::text[], $2::text[]) as asked (ce_source, id) using (ce_source, id) where until > now()`
  const checkpointText = `update ${quoted}.event set checkpoint = $3::json where seq = $1 and lease_by = $2`

  return {
    begin: async (events) => {
      const unique = [...new Map(events.map((event) => [storedIdentity(event), event])).values()]
      const { rows } = await base.untilDone(() =>
        base.pool.query<Key & { deaths: number }>(beginText, [...keysOf(unique), base.replica()]),
      )
      const deaths = new Map(rows.map((row) => [identityOf(row), row.deaths]))
      return events.map((event) => deaths.get(storedIdentity(event)) ?? 0)
    },
    beginAlone: async (event: ArrivedEvent) => {
      await base.untilDone(() => base.pool.query(aloneText, [...keysOf([event]), base.replica()]))
    },
    seen: async (events) => {
      const { rows } = await base.untilDone(() => base.pool.query<Key>(seenText, keysOf(events)))
      const found = new Set(rows.map(identityOf))
      return events.map((event) => found.has(storedIdentity(event)))
    },
    checkpoint: async (row: JournalRow, data: unknown) => {
      const values = [row.seq, base.replica(), JSON.stringify(data) ?? null]
      return (await base.untilDone(() => base.pool.query(checkpointText, values))).rowCount === 1
    },
  }
}

interface Key {
  readonly source: string
  readonly id: string
}
