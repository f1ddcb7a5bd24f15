import type { Queryable } from '../../machines/journal.ts'
import type { Names } from './schema.ts'

/** Who holds and who waits for the locks of atomic handlers, over all replicas. */
export interface JournalLock {
  readonly holder?: { readonly replica: string; readonly heldMs: number }
  readonly waiting: number
  readonly longestWaitMs: number
}

/** Connections are named after the replica. */
export const applicationPrefix = 'koksmat '

interface LockRow {
  readonly name: string
  readonly granted: boolean
  readonly replica: string
  readonly ms: number
}

/** Postgres knows locks by a hash only, so the names to look for are given. `heldMs` is the age of the transaction. */
export const locksOf = async (
  db: Queryable,
  names: Names,
  locks: readonly string[],
): Promise<Readonly<Record<string, JournalLock>>> => {
  const { rows } = await db.query<LockRow>(
    `with wanted as (select name, ${names.lockKey('name')} as key from unnest($1::text[]) as name)
     select w.name, l.granted, substr(a.application_name, $2) as replica,
            greatest(0, extract(epoch from clock_timestamp() - coalesce(l.waitstart, a.xact_start)) * 1000)::float8 as ms
     from wanted w
     join pg_locks l on l.locktype = 'advisory' and l.objsubid = 1
       and l.database = (select oid from pg_database where datname = current_database())
       and l.classid = (w.key >> 32 & 4294967295)::oid and l.objid = (w.key & 4294967295)::oid
     join pg_stat_activity a on a.pid = l.pid`,
    [locks, applicationPrefix.length + 1],
  )
  return Object.fromEntries(locks.map((name) => [name, lockOf(rows.filter((row) => row.name === name))]))
}

const lockOf = (rows: readonly LockRow[]): JournalLock => {
  const holder = rows.find(({ granted }) => granted)
  const waits = rows.filter(({ granted }) => !granted).map(({ ms }) => ms)
  return {
    ...(holder === undefined ? {} : { holder: { replica: holder.replica, heldMs: Math.round(holder.ms) } }),
    waiting: waits.length,
    longestWaitMs: Math.round(Math.max(0, ...waits)),
  }
}
