import type { Arrival, AttemptRecord } from '../../machines/journal.ts'
import { envelopeOf, payloadOf, textOf } from './rows.ts'
import type { Names } from './schema.ts'

/** The arrays of the events themselves, `via` to `raw`; `asRaw`: see `payloadOf`. */
export const eventValues = (
  arrivals: readonly (Arrival & { readonly raw?: Uint8Array })[],
  asRaw: boolean,
): unknown[][] => {
  const events = arrivals.map(({ event }) => event)
  const payloads = arrivals.map((arrival) =>
    arrival.raw === undefined ? payloadOf(arrival, asRaw) : { data: null, raw: arrival.raw },
  )
  return [
    events.map(({ via }) => via),
    events.map(({ kind }) => kind),
    events.map(({ source }) => textOf(source)),
    events.map(({ id }) => textOf(id)),
    events.map(({ identified }) => identified),
    events.map(({ type }) => textOf(type)),
    events.map(({ partitionkey }) => (partitionkey === undefined ? null : textOf(partitionkey))),
    events.map(envelopeOf),
    payloads.map(({ data }) => data),
    payloads.map(({ raw }) => raw),
  ]
}

/** A row that waits in a queue, or is parked. */
export interface NewRow extends Arrival {
  readonly queue: string
  readonly state: 'ready' | 'parked'
  readonly dueInMs?: number
  readonly attempts?: number
  readonly history?: readonly AttemptRecord[]
  /** Instead of the event's payload. */
  readonly raw?: Uint8Array
}

/**
 * Inserts many events with one statement, for the values of `rowValues`: an array a column, which `unnest` makes rows of
 * again. `conflict`: what happens to an event that is there already.
 */
export const insertRowsText = ({ quoted }: Names, conflict: string): string => `
  insert into ${quoted}.event as e (via, kind, ce_source, id, identified, type, key, envelope, data, raw, queue, state,
    due, attempts, history, parked_at)
  select via, kind, ce_source, id, identified, type, key, envelope::json, data::json, raw, queue, state,
    now() + due_in * interval '1 millisecond', attempts, history::jsonb, case when state = 'parked' then now() end
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[],
      $9::text[], $10::bytea[], $11::text[], $12::text[], $13::bigint[], $14::integer[], $15::text[])
    with ordinality as new (via, kind, ce_source, id, identified, type, key, envelope, data, raw, queue, state, due_in,
      attempts, history, position)
  order by position ${conflict}`

export const rowValues = (rows: readonly NewRow[], asRaw: boolean): unknown[][] => [
  ...eventValues(rows, asRaw),
  rows.map(({ queue }) => queue),
  rows.map(({ state }) => state),
  rows.map(({ dueInMs }) => Math.round(dueInMs ?? 0)),
  rows.map(({ attempts }) => attempts ?? 0),
  rows.map(({ history }) => (history === undefined ? null : historyOf(history))),
]

/** As jsonb takes it: no U+0000 and no lone surrogates, which error messages may hold. */
export const historyOf = (history: readonly AttemptRecord[]): string =>
  JSON.stringify(history, (_name, value) => (typeof value === 'string' ? textOf(value.toWellFormed()) : value))
