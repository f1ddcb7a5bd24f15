import type { Finder, Journaled, Watch } from './finder.ts'
import type { TriggerOptions } from './options.ts'
import { foundRow, insertEvents, writeTypes } from './rows.ts'
import { isLive, isSeen } from './sql.ts'
import { checkTable } from './table.ts'
import { endless, keyOf, markValues, pickLocked, takeLocked, takeTracked } from './taking.ts'

/**
 * Triggers on a table of the journal's own database: rows are picked, told from now on and written to the journal in
 * **one** statement. `$1` is the source, `$2` its CloudEvents source, `$3` the replica, `$4` the type, `$5` the limit;
 * the values of a mark follow.
 */
export const createInsideFinder = (options: TriggerOptions, watch: Watch): Finder => {
  const { schema, type } = watch
  const statement = `with ${taking(options, schema)}, journaled as (
      ${insertEvents(schema)}, koksmat_id, $4, koksmat_key, koksmat_json, null
      from taken where not ${isSeen(schema, '$2', 'koksmat_id')}
      order by koksmat_order
      on conflict (ce_source, id) do nothing
      returning seq, id, key, data
    )
    select koksmat_page.*, seq::text, id, key, data::text as json
    from (select (select count(*)::int from picked) as picked, (select bool_or(koksmat_again) from taken) as again) koksmat_page
    left join journaled on true order by journaled.seq`
  const values = (limit: number, lease: string) => [
    watch.source,
    watch.ceSource,
    lease,
    typeof type === 'string' ? type : 'unreadable',
    limit,
    ...markValues(options),
  ]

  return {
    verify: async (tx) => {
      await checkTable(tx, options, watch.log)
      await tx.query(`explain ${statement}`, values(1, watch.replica()))
    },
    find: async (tx, limit) => {
      const lease = watch.replica()
      const { rows } = await tx.query<PageRow>(statement, values(limit, lease))
      if (rows[0]?.again === true) throw endless(options)
      const events: Journaled[] = rows.flatMap(({ seq, id, key, json }) =>
        seq === null ? [] : [{ ...foundRow({ id, key, json }, type), seq, lease }],
      )
      if (typeof type === 'function') await writeTypes(tx, watch, events)
      return { events, more: rows[0]?.picked === limit }
    },
    committed: () => Promise.resolve(),
  }
}

/** One row an event, or a single row without one. */
interface PageRow {
  readonly picked: number
  readonly again: boolean | null
  readonly seq: string | null
  readonly id: string
  readonly key: string
  readonly json: string
}

const taking = (options: TriggerOptions, schema: string): string =>
  'track' in options.take
    ? takeTracked(options, options.take.track.version, schema)
    : `${pickLocked(options, isLive(schema, '$2', `${keyOf(options)}::text`), '$5')}, ${takeLocked(options, 6)}`
