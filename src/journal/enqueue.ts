import type { Queryable } from '../../machines/journal.ts'
import type { Names } from './schema.ts'

/** An event for a table queue, as the SQL function `enqueue` takes it. */
export interface Enqueued {
  readonly type: string
  readonly data: unknown
  readonly id?: string
  readonly key?: string
  readonly delayMs?: number
  readonly priority?: number
  /** CloudEvents source; default `koksmat:<queue>`. */
  readonly source?: string
}

/** Gives the number of the row; undefined when an event with that source and id is there already. */
export const enqueue = async (
  db: Queryable,
  { quoted }: Names,
  queue: string,
  { type, data, id, key, delayMs, priority, source }: Enqueued,
): Promise<string | undefined> => {
  const { rows } = await db.query<{ seq: string | null }>(
    `select ${quoted}.enqueue($1, $2, $3::json, $4, $5, $6 * interval '1 millisecond', $7, $8)::text as seq`,
    [queue, type, JSON.stringify(data ?? null), id, key, delayMs ?? 0, priority ?? 0, source],
  )
  return rows[0]?.seq ?? undefined
}
