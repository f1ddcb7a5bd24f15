import { ControllerError } from '../../machines/errors.ts'
import type { Queryable } from '../../machines/journal.ts'
import type { Database } from './database.ts'
import type { Finder, Found, Watch } from './finder.ts'
import type { ConditionOptions } from './options.ts'
import { foundRow, journalFound } from './rows.ts'
import { isHeld, isLive, subquery } from './sql.ts'

/**
 * Conditions: the keys that a query gives, compared with those it gave before. Which they were stands in the journal
 * (`condition`), and changes in the transaction that writes the events: a restart raises nothing twice.
 *
 * ```
 *  not there ── key appears: `<key>@<since>` ──▸ there ──┐ each `everyMs`: `<key>@<since>/reminder-<n>`
 *      ▴                                           │ ▴───┘
 *      └── key is gone: `<key>@<since>/cleared` ───┘
 * ```
 *
 * While an event of a key waits in the journal the key stays as it is; what is seen of it then counts once that event is
 * settled. What the credit leaves no room for waits for the next poll in the same way.
 *
 * Without `database` the query runs in the journal's own.
 */
export const createConditionFinder = (options: ConditionOptions, watch: Watch, database?: Database): Finder => {
  const { schema, source, ceSource } = watch
  const statement = `select koksmat_query.key::text as key, row_to_json(koksmat_query.*)::text as json
    from ${subquery(options.query)} koksmat_query limit ${maxKeys + 1}`
  const notBusy = (key: string) => `not ${isLive(schema, '$2', key)}`

  const ask = async (tx: Queryable, ahead: 'explain' | '' = ''): Promise<readonly Holding[]> => {
    if (database === undefined) return (await tx.query<Holding>(`${ahead} ${statement}`)).rows
    await database.begin()
    const { rows } = await database.query<Holding>(`${ahead} ${statement}`)
    await database.commit()
    return rows
  }

  const appeared = async (tx: Queryable, here: Holdings, limit: number): Promise<Found[]> => {
    const { rows } = await tx.query<Change>(
      `insert into ${schema}.condition (source, key, data)
      select $1, key, data::json from unnest($3::text[], $4::text[]) with ordinality as koksmat_here (key, data, place)
      where not ${isHeld(schema, '$1', 'koksmat_here.key')}
        and ${notBusy('koksmat_here.key')}
      order by place limit $5
      returning key, data::text as json, ${sinceText}`,
      [source, ceSource, here.keys, here.jsons, limit],
    )
    return rows.map(({ key, json, since }) => foundRow({ id: `${key}@${since}`, key, json }, watch.type))
  }

  const gone = async (tx: Queryable, here: Holdings, limit: number): Promise<Found[]> => {
    const { clears } = options
    const isGone = `koksmat_known.source = $1 and not exists (
      select from unnest($2::text[]) as koksmat_here (key) where koksmat_here.key = koksmat_known.key)`
    if (clears === undefined) {
      await tx.query(`delete from ${schema}.condition koksmat_known where ${isGone}`, [source, here.keys])
      return []
    }
    const { rows } = await tx.query<Change>(
      `delete from ${schema}.condition where source = $1 and key in (
        select key from ${schema}.condition koksmat_known
        where ${isGone} and not ${isLive(schema, '$3', 'koksmat_known.key')} limit $4)
      returning key, data::text as json, ${sinceText}`,
      [source, here.keys, ceSource, limit],
    )
    return rows.map(({ key, json, since }) => foundRow({ id: `${key}@${since}/cleared`, key, json }, clears))
  }

  const reminded = async (tx: Queryable, here: Holdings, everyMs: number, limit: number): Promise<Found[]> => {
    const { rows } = await tx.query<Change & { reminder: number }>(
      `with koksmat_due as (
        select key from ${schema}.condition koksmat_known
        where source = $1 and reminded_at <= now() - $5 * interval '1 ms' and ${notBusy('koksmat_known.key')}
        order by reminded_at limit $6
      )
      update ${schema}.condition set reminded_at = now(), data = koksmat_here.data::json
      from unnest($3::text[], $4::text[]) as koksmat_here (key, data) natural join koksmat_due
      where condition.source = $1 and condition.key = koksmat_here.key
      returning condition.key, condition.data::text as json, ${sinceText},
        floor(extract(epoch from now() - since) * 1000 / $5)::int as reminder`,
      [source, ceSource, here.keys, here.jsons, everyMs, limit],
    )
    return rows.map(({ key, json, since, reminder }) => ({
      ...foundRow({ id: `${key}@${since}/reminder-${reminder}`, key, json }, watch.type),
      extensions: { reminder },
    }))
  }

  return {
    verify: async (tx) => {
      await ask(tx, 'explain')
    },
    find: async (tx, limit) => {
      const here = holdingsOf(watch.source, await ask(tx))
      const found = await appeared(tx, here, limit)
      found.push(...(await gone(tx, here, limit - found.length)))
      if (options.everyMs !== undefined) {
        found.push(...(await reminded(tx, here, options.everyMs, limit - found.length)))
      }
      return { events: await journalFound(tx, watch, found), more: found.length === limit }
    },
    committed: () => Promise.resolve(),
  }
}

const maxKeys = 10_000

const sinceText = `to_char(since, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as since`

interface Holding {
  readonly key: string | null
  readonly json: string
}

interface Change {
  readonly key: string
  readonly json: string
  readonly since: string
}

interface Holdings {
  readonly keys: readonly string[]
  readonly jsons: readonly string[]
}

/** @throws ControllerError LIMIT_EXCEEDED, SOURCE_UNUSABLE */
const holdingsOf = (source: string, rows: readonly Holding[]): Holdings => {
  if (rows.length > maxKeys) {
    const what = `The query of ${JSON.stringify(source)} gives more than ${maxKeys} keys`
    throw new ControllerError('LIMIT_EXCEEDED', `${what}: narrow it, or take the rows by a trigger.`)
  }
  const byKey = new Map<string, string>()
  for (const { key, json } of rows) {
    if (key === null)
      throw new ControllerError('SOURCE_UNUSABLE', `The query of ${JSON.stringify(source)} gave a null key.`)
    if (!byKey.has(key)) byKey.set(key, json)
  }
  return { keys: [...byKey.keys()], jsons: [...byKey.values()] }
}
