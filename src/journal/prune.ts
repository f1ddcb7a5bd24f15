import type { Queryable } from '../../machines/journal.ts'
import type { Names } from './schema.ts'

/**
 * Deletes what nobody will ask for again: dedup marks after their window, and begun runs of events that never came back.
 * In batches, and by one replica at a time; gives how many are gone, so that the caller may go on at once.
 */
const batch = 5_000

export const prune = async (db: Queryable, { schema, quoted }: Names): Promise<number> => {
  const { rows } = await db.query<{ gone: number }>(
    `with turn as materialized (
       select pg_try_advisory_xact_lock(hashtextextended('koksmat-prune:${schema}', 0)) as mine
     ), marks as (
       delete from ${quoted}.seen where ctid = any(array(
         select ctid from ${quoted}.seen, turn where turn.mine and until < now() limit ${batch}
       )) returning 1
     ), begun as (
       delete from ${quoted}.begun where ctid = any(array(
         select ctid from ${quoted}.begun, turn where turn.mine and at < now() - interval '7 days' limit ${batch}
       )) returning 1
     )
     select ((select count(*) from marks) + (select count(*) from begun))::integer as gone`,
  )
  return rows[0]?.gone ?? 0
}
