import type { Queryable } from '../../machines/journal.ts'
import type { Names } from './schema.ts'

/**
 * What becomes of dead replicas and their leases. Every replica does this for all others; rows that somebody else is
 * about to settle are skipped, they come up again.
 */

/** So long a lock may be free while its owner connects again. */
const graceMs = 1_000

/** Deletes replicas whose time is over, or whose lock is free for a while; gives their numbers. */
export const removeDead = async (db: Queryable, { quoted }: Names, self: string): Promise<readonly string[]> => {
  const { rows } = await db.query<{ id: string; dead: boolean }>(
    `with suspect as materialized (
       select id, lost_at, alive_until < now() as late,
              session and pg_try_advisory_xact_lock_shared(${quoted}.replica_key(id)) as lost
       from ${quoted}.replica where id <> $1
     ), noted as (
       update ${quoted}.replica r set lost_at = now() from suspect s where r.id = s.id and s.lost and s.lost_at is null
     )
     select id::text, late or lost_at < now() - $2 * interval '1 millisecond' as dead
     from suspect where late or lost`,
    [self, graceMs],
  )
  const dead = rows.filter((row) => row.dead).map(({ id }) => id)
  if (dead.length === 0) return dead
  await db.query(
    `delete from ${quoted}.replica where id = any($1::bigint[])
     and (alive_until < now() or lost_at < now() - $2 * interval '1 millisecond')`,
    [dead, graceMs],
  )
  return dead
}

/** Makes ready what is leased to a replica that is not there; gives how many by queue. */
export const freeOrphans = async (db: Queryable, names: Names): Promise<Readonly<Record<string, number>>> => {
  const { rows } = await db.query<{ queue: string; count: number }>(
    `with orphan as (
       select seq from ${names.quoted}.event e
       where state = 'leased' and not exists (select from ${names.quoted}.replica r where r.id = e.lease_by)
       for update skip locked
     ), freed as (
       update ${names.quoted}.event e set state = 'ready', lease_by = null, redelivered = true
       from orphan where e.seq = orphan.seq returning e.queue
     )
     select queue, count(*)::integer as count, pg_notify($1, '0 ' || queue) from freed group by queue`,
    [names.channel],
  )
  return Object.fromEntries(rows.map(({ queue, count }) => [queue, count]))
}
