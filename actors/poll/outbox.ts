import type { Queryable } from '../../machines/journal.ts'
import type { Database } from './database.ts'
import type { Finder, Watch } from './finder.ts'
import type { TriggerOptions } from './options.ts'
import { foundRow, journalFound } from './rows.ts'
import { quoteTable } from './sql.ts'
import { checkTable } from './table.ts'
import { endless, keyOf, markValues, pickLocked, takeLocked } from './taking.ts'

/**
 * Triggers on a table of another database, told by `mark` or `delete`. Two databases cannot commit as one, so the order
 * is that of an outbox:
 *
 * ```
 *  user's database   begin ── pick and mark ───────────────────────────────────── commit
 *  journal           begin ────────────────── claim, insert the events ── commit
 *                                                                            ▴
 *                                              a crash here: durable events, unmarked rows
 * ```
 *
 * The journal remembers, in `tracked`, which version (`xmin`) of which row it has made an event of. After a crash before
 * the second commit the row is still there in that version: it is picked again and marked, and the claim says that its
 * event was written, even when that event was handled and is gone. A claim is forgotten once no row has its version any
 * more, which the next poll finds out. Only a row that somebody else changes between the crash and the next poll, and
 * that still matches, is another version and so another event.
 *
 * Until the second commit the rows are locked, so that another replica skips them.
 */
export const createOutboxFinder = (options: TriggerOptions, watch: Watch, database: Database): Finder => {
  const statement = `with ${pickLocked(options, `(${keyOf(options)}::text = any($2::text[]))`, '$1')},
    ${takeLocked(options, 3)}
    select koksmat_id as id, koksmat_key as key, koksmat_version as version, koksmat_json::text as json,
      koksmat_again as again, (select count(*)::int from picked) as picked
    from taken order by koksmat_order`
  const values = (limit: number, live: readonly string[]) => [limit, live, ...markValues(options)]
  let keyType = 'text'

  /** Reads row versions as they are committed: a claim whose row is still there may be needed again. */
  const forgetClaims = async (tx: Queryable): Promise<void> => {
    const claims = await tx.query<Claim>(`select key, version from ${watch.schema}.tracked where source = $1`, [
      watch.source,
    ])
    if (claims.rows.length === 0) return
    const standing = await database.query<Claim>(
      `select ${keyOf(options)}::text as key, xmin::text as version from ${quoteTable(options.table)}
      where ${keyOf(options)} = any($1::text[]::${keyType}[])`,
      [claims.rows.map((claim) => claim.key)],
    )
    const kept = new Set(standing.rows.map(claimText))
    const over = claims.rows.filter((claim) => !kept.has(claimText(claim))).map((claim) => claim.key)
    await tx.query(`delete from ${watch.schema}.tracked where source = $1 and key = any($2::text[])`, [
      watch.source,
      over,
    ])
  }

  /** The keys of those rows that have no claim for their version yet. */
  const claim = async (tx: Queryable, rows: readonly Claim[]): Promise<Set<string>> => {
    const claimed = await tx.query<{ key: string }>(
      `insert into ${watch.schema}.tracked as koksmat_claim (source, key, version)
      select distinct on (key) $1, key, version from unnest($2::text[], $3::text[]) as koksmat_new (key, version)
      on conflict (source, key) do update set version = excluded.version
        where koksmat_claim.version <> excluded.version
      returning key`,
      [watch.source, rows.map((row) => row.key), rows.map((row) => row.version)],
    )
    return new Set(claimed.rows.map((row) => row.key))
  }

  return {
    verify: async () => {
      await database.begin()
      keyType = (await checkTable(database, options, watch.log)).keyType
      await database.query(`explain ${statement}`, values(1, []))
      await database.commit()
    },
    find: async (tx, limit) => {
      await database.begin()
      await forgetClaims(tx)
      const live = await liveKeys(tx, watch)
      if (live.length > maxLiveKeys) {
        watch.log.warn({ maxLiveKeys }, 'too many events wait in the journal: no more rows are picked')
        return { events: [], more: false }
      }
      const { rows } = await database.query<OutboxRow>(statement, values(limit, live))
      if (rows.some((row) => row.again)) throw endless(options)
      const claimed = await claim(tx, rows)
      const found = rows.filter((row) => claimed.has(row.key)).map((row) => foundRow(row, watch.type))
      return { events: await journalFound(tx, watch, found), more: rows[0]?.picked === limit }
    },
    committed: () => database.commit(),
  }
}

interface Claim {
  readonly key: string
  readonly version: string
}

interface OutboxRow extends Claim {
  readonly id: string
  readonly json: string
  readonly again: boolean
  readonly picked: number
}

const claimText = ({ key, version }: Claim): string => `${version} ${key}`

const maxLiveKeys = 10_000

/** Keys whose events are not settled yet, for a database that cannot ask the journal itself; one too many at most. */
const liveKeys = async (tx: Queryable, watch: Watch): Promise<readonly string[]> => {
  const { rows } = await tx.query<{ key: string }>(
    `select key from ${watch.schema}.event
    where ce_source = $1 and kind = 'database.trigger' and state <> 'parked' and key is not null limit $2`,
    [watch.ceSource, maxLiveKeys + 1],
  )
  return rows.map((row) => row.key)
}
