import type { Queryable } from '../../machines/journal.ts'
import type { Database } from './database.ts'
import type { Finder, Watch } from './finder.ts'
import type { TriggerOptions } from './options.ts'
import { foundRow, journalFound } from './rows.ts'
import { condition, isLive, isTracked, quoteTable, versionOf } from './sql.ts'
import { checkTable } from './table.ts'
import { columnsOf, keyOf } from './taking.ts'

/**
 * Triggers on a table of another database that is left alone (`track`). The two cannot be joined, so the table is swept
 * in the order of its key, a chunk a poll: keys and versions are read there, compared here, and only rows that are new
 * or changed are read whole. Nothing is written there, so that state and events are one commit of the journal.
 */
export const createSweepFinder = (
  options: TriggerOptions,
  version: string,
  watch: Watch,
  database: Database,
): Finder => {
  const { schema } = watch
  const table = quoteTable(options.table)
  const versionColumn = versionOf(options.table, version)
  const chunkStatement = (keyType: string) =>
    `select ${keyOf(options)}::text as key, ${versionColumn} as version from ${table}
    where ${condition(options.where)} and ($1::text is null or ${keyOf(options)} > $1::text::${keyType})
      and ${keyOf(options)} is not null
    order by ${keyOf(options)} limit ${chunkSize}`
  const rowStatement = (keyType: string) =>
    `select koksmat_key as key, koksmat_version as version, koksmat_id as id, koksmat_json::text as json from (
      select distinct on (${keyOf(options)}) ${columnsOf(options, versionColumn)} from ${table}
      where ${condition(options.where)} and ${keyOf(options)} = any($1::text[]::${keyType}[])
    ) koksmat_rows order by koksmat_order`
  let keyType = 'text'
  /** Where the sweep stands; undefined: at the beginning. `next` becomes true with the commit. */
  let cursor: string | undefined
  let next: string | undefined

  const chunkAfter = async (key: string | undefined): Promise<readonly Version[]> => {
    await database.begin()
    const { rows } = await database.query<Version>(chunkStatement(keyType), [key ?? null])
    return rows
  }

  /** The keys among a chunk's that are new or changed, and not busy. */
  const changed = async (tx: Queryable, chunk: readonly Version[], limit: number): Promise<readonly string[]> => {
    const { rows } = await tx.query<{ key: string }>(
      `select key from unnest($3::text[], $4::text[]) with ordinality as koksmat_chunk (key, version, place)
      where not ${isTracked(schema, '$1', 'koksmat_chunk.key', 'koksmat_chunk.version')}
        and not ${isLive(schema, '$2', 'koksmat_chunk.key')}
      order by place limit $5`,
      [watch.source, watch.ceSource, chunk.map((row) => row.key), chunk.map((row) => row.version), limit],
    )
    return rows.map((row) => row.key)
  }

  const note = (tx: Queryable, rows: readonly SweptRow[]): Promise<unknown> =>
    tx.query(
      `insert into ${schema}.tracked (source, key, version) select $1, key, version
      from unnest($2::text[], $3::text[]) as koksmat_new (key, version)
      on conflict (source, key) do update set version = excluded.version`,
      [watch.source, rows.map((row) => row.key), rows.map((row) => row.version)],
    )

  return {
    verify: async () => {
      await database.begin()
      keyType = (await checkTable(database, options, watch.log)).keyType
      await database.query(`explain ${chunkStatement(keyType)}`, [null])
      await database.query(`explain ${rowStatement(keyType)}`, [[]])
      await database.commit()
    },
    find: async (tx, limit) => {
      const chunk = await chunkAfter(cursor)
      const keys = await changed(tx, chunk, limit)
      const { rows } = await database.query<SweptRow>(rowStatement(keyType), [keys])
      await note(tx, rows)
      const events = await journalFound(
        tx,
        watch,
        rows.map((row) => foundRow(row, watch.type)),
      )
      const stoppedEarly = keys.length === limit
      next = stoppedEarly ? keys.at(-1) : chunk.length === chunkSize ? chunk.at(-1)?.key : undefined
      return { events, more: next !== undefined }
    },
    committed: async () => {
      cursor = next
      await database.commit()
    },
  }
}

const chunkSize = 1_000

interface Version {
  readonly key: string
  readonly version: string
}

interface SweptRow extends Version {
  readonly id: string
  readonly json: string
}
