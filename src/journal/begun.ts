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
 *
 * A suspect that was held back when the process died had no part in that death: something else kills, and it is
 * acquitted, `mostAcquittals` times at most, lest two guilty ones acquit each other for ever.
 *
 * A record has to outlive the process, not the database: its commit waits for no disk.
 */
export const createBegun = (base: Base): Pick<Ledger, BegunPart> => {
  const { quoted } = base.names
  const given = 'unnest($1::text[], $2::text[]) as given (ce_source, id)'
  const isGiven = 'b.ce_source = given.ce_source and b.id = given.id'
  const lives = `exists (select from ${quoted}.replica r where r.id = b.lease_by and (r.id = $3
    or r.session and not pg_try_advisory_xact_lock_shared(${quoted}.replica_key(r.id))))`
  const died = `b.lease_by is not null and not ${lives}`
  const quickly = `select set_config('synchronous_commit', 'off', true)`
  const judgeText = `
    update ${quoted}.begun b set (deaths, passed, lease_by, held) = (
      select total, b.passed + case when gone and b.held then 1 else 0 end,
        case when total = 1 then $3::bigint when not gone then b.lease_by end,
        total = 1 and (b.held or b.lease_by is distinct from $3)
      from (select gone, case when not gone then b.deaths when not b.held then b.deaths + 1
          when b.passed < ${mostAcquittals} then 0 else b.deaths end as total
        from (select ${died} as gone) as looked) as counted)
    from ${given} where ${isGiven}
    returning b.ce_source as source, b.id, b.deaths`
  const calmText = `update ${quoted}.begun set lease_by = null, held = false where lease_by = $1 and held`
  const beginText = `
    with quickly as materialized (${quickly}),
    over as (
      update ${quoted}.begun b set lease_by = null from unnest($4::text[], $5::text[]) as given (ce_source, id)
      where ${isGiven} and b.lease_by = $3
    )
    insert into ${quoted}.begun as b (ce_source, id, lease_by)
    select ce_source, id, $3 from ${given}, quickly order by 1, 2
    on conflict (ce_source, id) do update set at = now(), held = false,
      (deaths, lease_by) = (
        select total, case when total = 0 then $3::bigint end
        from (select b.deaths + case when ${died} then 1 else 0 end as total) as counted)
    returning ce_source as source, id, deaths`
  const aloneText = `
    with quickly as materialized (${quickly})
    insert into ${quoted}.begun (ce_source, id, lease_by) select ce_source, id, $3 from ${given}, quickly
    on conflict (ce_source, id) do update set at = now(), held = false, lease_by = excluded.lease_by`
  const seenText = `
    select ce_source as source, id from ${quoted}.seen
    join unnest($1::text[], $2::text[]) as asked (ce_source, id) using (ce_source, id) where until > now()`
  const checkpointText = `update ${quoted}.event set checkpoint = $3::json where seq = $1 and lease_by = $2`

  /** `more`: the values after keys and replica, whose number is not known before the journal is open. */
  const ask = async (
    text: string,
    events: readonly ArrivedEvent[],
    more: readonly unknown[] = [],
  ): Promise<Map<string, number>> => {
    const { rows } = await base.untilDone(() =>
      base.pool.query<Key & { deaths: number }>(text, [...keysOf(events), base.replica(), ...more]),
    )
    return new Map(rows.map((row) => [identityOf(row), row.deaths]))
  }

  return {
    judge: async (events) => {
      const deaths = await ask(judgeText, uniqueOf(events))
      return events.map((event) => verdictOf(deaths.get(storedIdentity(event)) ?? 0))
    },
    calm: async () => {
      await base.untilDone(() => base.pool.query(calmText, [base.replica()]))
    },
    begin: async (events, over = []) => {
      const unique = uniqueOf(events)
      const now = new Set(unique.map(storedIdentity))
      const past = uniqueOf(over).filter((event) => !now.has(storedIdentity(event)))
      const deaths = await ask(beginText, unique, keysOf(past))
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
      const values = [row.seq, row.lease, JSON.stringify(data) ?? null]
      return (await base.untilDone(() => base.pool.query(checkpointText, values))).rowCount === 1
    },
  }
}

const mostAcquittals = 2

type BegunPart = 'judge' | 'calm' | 'begin' | 'beginAlone' | 'seen' | 'checkpoint'

interface Key {
  readonly source: string
  readonly id: string
}

const uniqueOf = (events: readonly ArrivedEvent[]): readonly ArrivedEvent[] => [
  ...new Map(events.map((event) => [storedIdentity(event), event])).values(),
]

const verdictOf = (deaths: number) => {
  if (deaths === 0) return 'clear'
  return deaths === 1 ? 'suspect' : 'guilty'
}
