/**
 * SQL from names and from the user's own SQL. Our names in it begin with `koksmat_`, so that they can stand beside any
 * column of the user's, and the user's table keeps its name, so that `where` may speak of `invoices.status`.
 *
 * What begins with `is` is asked for each row of a page, and is a look into one index; its arguments but the schema are
 * SQL. `offset 0` keeps it from being planned as a join, and what must not lead to another index is written so that it
 * cannot: by statistics from before the journal grew, or from before this source was there, Postgres would read every
 * event of the source for every row.
 */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** `shop.invoices` as `"shop"."invoices"`. */
export const quoteTable = (table: string): string => table.split('.').map(quoteName).join('.')

/** The name by which a table is known inside its query: `"invoices"` for `shop.invoices`. */
export const ownName = (table: string): string => quoteName(table.slice(table.lastIndexOf('.') + 1))

/** A condition of the user's, on lines of its own: it may end with a comment. Bare, so that an index can serve it. */
export const condition = (where: string | undefined): string => (where === undefined ? 'true' : `(\n${where}\n)`)

/** A query of the user's, as a subquery. */
export const subquery = (query: string): string => `(\n${query.replace(/[;\s]+$/, '')}\n)`

/** The row as JSON, whole or in part. */
export const rowAsJson = (table: string, columns: readonly string[] | undefined): string => {
  const own = ownName(table)
  if (columns === undefined) return `row_to_json(${own}.*)`
  const picked = columns.map((column) => `${own}.${quoteName(column)}`).join(', ')
  return `(select row_to_json(koksmat_row) from (select ${picked}) koksmat_row)`
}

/** A version column as text, for ids and comparisons. */
export const versionOf = (table: string, column: string): string =>
  `coalesce(${ownName(table)}.${quoteName(column)}::text, '')`

/** An event of this key is in the journal and not parked. */
export const isLive = (schema: string, ceSource: string, key: string): string =>
  `exists (select from ${schema}.event koksmat_live
    where koksmat_live.key = ${key} and koksmat_live.kind = 'database.trigger'
      and koksmat_live.ce_source || '' = ${ceSource} and koksmat_live.state <> 'parked' offset 0)`

/** An event with this id was handled before, within its dedup window. */
export const isSeen = (schema: string, ceSource: string, id: string): string =>
  `exists (select from ${schema}.seen koksmat_seen
    where koksmat_seen.ce_source = ${ceSource} and koksmat_seen.id = ${id}
      and (koksmat_seen.until > now()) is true offset 0)`

/** This version of a row was told before. */
export const isTracked = (schema: string, source: string, key: string, version: string): string =>
  `exists (select from ${schema}.tracked koksmat_known
    where koksmat_known.source = ${source} and koksmat_known.key = ${key} and koksmat_known.version = ${version} offset 0)`

/** The condition held for this key before. */
export const isHeld = (schema: string, source: string, key: string): string =>
  `exists (select from ${schema}.condition koksmat_known
    where koksmat_known.source = ${source} and koksmat_known.key = ${key} offset 0)`
