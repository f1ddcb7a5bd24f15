import { ControllerError } from '../../machines/errors.ts'
import type { TriggerOptions } from './options.ts'
import { condition, isLive, isTracked, ownName, quoteName, quoteTable, rowAsJson, versionOf } from './sql.ts'

/**
 * Parts of statements that take rows of a table: `picked` finds them, `taken` tells them from now on. Both carry
 * `koksmat_key`, `koksmat_version`, `koksmat_id`, `koksmat_json`, and `koksmat_order` to sort by.
 */

/** The key column, inside a query of its table. */
export const keyOf = (options: TriggerOptions): string => `${ownName(options.table)}.${quoteName(options.key)}`

/** Rows that match, locked; rows locked by others are skipped. The version is `xmin`, who wrote the row last. */
export const pickLocked = (options: TriggerOptions, isBusy: string, limit: string): string =>
  `picked as (
    select ctid as koksmat_ctid, tableoid as koksmat_table, ${columnsOf(options, 'xmin::text')}
    from ${quoteTable(options.table)}
    where ${condition(options.where)} and ${keyOf(options)} is not null and not ${isBusy}
    limit ${limit}
    for update of ${ownName(options.table)} skip locked
  )`

/**
 * The picked rows, marked or deleted. The values of the mark are the parameters from `first` on. A row that changed
 * between being seen and being locked stands elsewhere now: it is not taken, and left for the next poll.
 */
export const takeLocked = (options: TriggerOptions, first: number): string => {
  const { take } = options
  const table = quoteTable(options.table)
  const returning = 'returning koksmat_order, koksmat_key, koksmat_version, koksmat_id, koksmat_json'
  const same = 'ctid = any(array(select koksmat_ctid from picked)) and ctid = koksmat_ctid and tableoid = koksmat_table'
  if (!('mark' in take)) {
    return `taken as (delete from ${table} using picked where ${same} ${returning}, false as koksmat_again)`
  }
  const set = Object.keys(take.mark).map((column, index) => `${quoteName(column)} = $${first + index}`)
  return `taken as (
    update ${table} set ${set.join(', ')} from picked where ${same}
    ${returning}, ${condition(options.where)} is true as koksmat_again
  )`
}

/**
 * Rows that match and are not in `tracked` with their version, and the note of them there. Asks for no more than the
 * right to read the table, and reads all rows that meet `where`: a narrow one keeps it cheap.
 */
export const takeTracked = (options: TriggerOptions, version: string, schema: string): string =>
  `picked as (
    select ${columnsOf(options, versionOf(options.table, version))}
    from ${quoteTable(options.table)}
    where ${condition(options.where)} and ${keyOf(options)} is not null
      and not ${isTracked(schema, '$1', `${keyOf(options)}::text`, versionOf(options.table, version))}
      and not ${isLive(schema, '$2', `${keyOf(options)}::text`)}
    limit $5
  ), taken as (
    select distinct on (koksmat_key) *, false as koksmat_again from picked order by koksmat_key, koksmat_order desc
  ), noted as (
    insert into ${schema}.tracked (source, key, version) select $1, koksmat_key, koksmat_version from taken
    on conflict (source, key) do update set version = excluded.version
  )`

export const columnsOf = (options: TriggerOptions, version: string): string =>
  `${keyOf(options)} as koksmat_order, ${keyOf(options)}::text as koksmat_key, ${version} as koksmat_version,
    ${keyOf(options)}::text || '@' || ${version} as koksmat_id,
    ${rowAsJson(options.table, options.columns)} as koksmat_json`

export const markValues = (options: TriggerOptions): readonly unknown[] =>
  'mark' in options.take ? Object.values(options.take.mark) : []

/** A marked row that still matches would be picked again for ever. */
export const endless = (options: TriggerOptions): ControllerError => {
  const where = options.where === undefined ? 'there is no `where`' : `it still meets ${JSON.stringify(options.where)}`
  const what = `Rows of ${JSON.stringify(options.table)} would be picked for ever`
  return new ControllerError('SOURCE_UNUSABLE', `${what}: after the mark ${where}.`)
}
