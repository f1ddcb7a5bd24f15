import { parseJson } from '../../machines/cloudevents.ts'
import { toControllerError } from '../../machines/errors.ts'
import { journalQueue, type Queryable } from '../../machines/journal.ts'
import type { Found, Journaled, Watch } from './finder.ts'
import { isSeen } from './sql.ts'

/** A row as an event. One that cannot be read still is one, so that it is parked and does not come again and again. */
export const foundRow = (
  row: { readonly id: string; readonly key: string; readonly json: string },
  type: Watch['type'],
): Found => {
  let data: unknown
  try {
    data = parseJson(row.json)
    return { ...row, data, type: typeof type === 'string' ? type : type(data as Record<string, unknown>) }
  } catch (thrown) {
    const error = toControllerError(thrown, 'EVENT_MALFORMED')
    return { ...row, data, type: typeof type === 'string' ? type : 'unreadable', error }
  }
}

/**
 * Columns and values of a trigger's row in `event`; `$1` is the source, `$2` its CloudEvents source, `$3` the replica.
 * The select that it begins goes on with id, type, key, data and envelope.
 */
export const insertEvents = (schema: string): string =>
  `insert into ${schema}.event (queue, kind, state, via, ce_source, lease_by, id, type, key, data, envelope)
  select '${journalQueue}', 'database.trigger', 'leased', $1::text, $2::text, $3::bigint`

/** Writes events whose ids are known; those that live already, or were handled, are left out of the answer. */
export const journalFound = async (tx: Queryable, watch: Watch, found: readonly Found[]): Promise<Journaled[]> => {
  if (found.length === 0) return []
  const lease = watch.replica()
  const { rows } = await tx.query<{ seq: string; id: string }>(
    `${insertEvents(watch.schema)}, id, type, key, data, envelope
    from unnest($4::text[], $5::text[], $6::text[], $7::json[], $8::json[])
      with ordinality as koksmat_new (id, type, key, data, envelope, place)
    where not ${isSeen(watch.schema, '$2', 'koksmat_new.id')}
    order by place
    on conflict (ce_source, id) do nothing
    returning seq::text, id`,
    [
      watch.source,
      watch.ceSource,
      lease,
      found.map((one) => one.id),
      found.map((one) => one.type),
      found.map((one) => one.key),
      found.map((one) => one.json),
      found.map((one) => (one.extensions === undefined ? null : JSON.stringify({ extensions: one.extensions }))),
    ],
  )
  const byId = new Map(found.map((one) => [one.id, one]))
  return rows.flatMap(({ seq, id }) => {
    const one = byId.get(id)
    return one === undefined ? [] : [{ ...one, seq, lease }]
  })
}

/** Corrects the types of events that were written before their rows could be read. */
export const writeTypes = async (tx: Queryable, watch: Watch, events: readonly Journaled[]): Promise<void> => {
  if (events.length === 0) return
  await tx.query(
    `update ${watch.schema}.event set type = koksmat_new.type
    from unnest($1::bigint[], $2::text[]) as koksmat_new (seq, type) where event.seq = koksmat_new.seq`,
    [events.map((event) => event.seq), events.map((event) => event.type)],
  )
}
