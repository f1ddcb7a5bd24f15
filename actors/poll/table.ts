import type { Log } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { Queryable } from '../../machines/journal.ts'
import type { TriggerOptions } from './options.ts'
import { quoteTable } from './sql.ts'

export interface TableFacts {
  /** SQL name of the key's type, for casts. */
  readonly keyType: string
}

/**
 * Whether the table and the columns that the options name are there.
 * @throws ControllerError SOURCE_NOT_FOUND, SOURCE_UNUSABLE
 */
export const checkTable = async (db: Queryable, options: TriggerOptions, log: Log): Promise<TableFacts> => {
  const { table, key, take, columns = [] } = options
  const { rows } = await db.query<{ name: string | null; type: string; stored: boolean; unique: boolean }>(
    `select attname as name, format_type(atttypid, null) as type, relkind in ('r', 'p') as stored,
      exists (select from pg_index where indrelid = pg_class.oid and indisunique and indpred is null
        and indnkeyatts = 1 and indkey[0] = attnum) as unique
    from pg_class left join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    where pg_class.oid = to_regclass($1)`,
    [quoteTable(table)],
  )
  const first = rows[0]
  if (first === undefined) {
    throw new ControllerError('SOURCE_NOT_FOUND', `There is no table ${JSON.stringify(table)} that this user can see.`)
  }
  const known = new Map(rows.map((row) => [row.name, row]))
  const marked = 'mark' in take ? Object.keys(take.mark) : 'track' in take ? [take.track.version] : []
  const missing = [...new Set([key, ...columns, ...marked])].filter((name) => !known.has(name))
  const keyColumn = known.get(key)
  if (missing.length > 0 || keyColumn === undefined) {
    const names = missing.map((name) => JSON.stringify(name)).join(', ')
    throw new ControllerError('SOURCE_NOT_FOUND', `The table ${JSON.stringify(table)} has no column ${names}.`)
  }
  if (!first.stored && !('track' in take)) {
    const what = `${JSON.stringify(table)} is not a table but a view or the like, whose rows cannot be marked or deleted`
    throw new ControllerError('SOURCE_UNUSABLE', `${what}: name its table, or use track.`)
  }
  if (first.stored && !keyColumn.unique) {
    log.warn({ table, key }, 'key column has no unique index: rows that share a key and a version are one event')
  }
  return { keyType: keyColumn.type }
}
