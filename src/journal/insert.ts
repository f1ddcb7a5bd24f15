import type { Arrival, AttemptRecord } from '../../machines/journal.ts'
import { envelopeOf, payloadOf, textOf } from './rows.ts'
import type { Names } from './schema.ts'

/** A row on its way into `event`. */
export interface NewRow {
  readonly arrival: Arrival
  readonly queue: string
  readonly state: 'ready' | 'leased' | 'parked'
  readonly leaseBy?: string
  readonly dueInMs?: number
  readonly attempts?: number
  readonly history?: readonly AttemptRecord[]
  /** Drawn before the insert, so that a row that is there under it is known to be this one. */
  readonly seq?: string
  /** Instead of the arrival's payload. */
  readonly raw?: Uint8Array
}

const columns =
  'queue, via, kind, ce_source, id, identified, type, key, envelope, data, raw, state, lease_by, due_in, attempts, history'

const types = 'text text text text text boolean text text text text bytea text bigint bigint integer text bigint'.split(
  ' ',
)

const arrays = (count: number): string =>
  types
    .slice(0, count)
    .map((type, index) => `$${index + 1}::${type}[]`)
    .join(', ')

/**
 * One statement for many rows, in their order. `numbered`: they bring their numbers. `conflict` says what happens to an
 * event that is there already.
 */
export const insertText = (
  { quoted }: Names,
  { numbered, conflict }: { numbered: boolean; conflict: string },
): string =>
  `insert into ${quoted}.event as e (${numbered ? 'seq, ' : ''}queue, via, kind, ce_source, id, identified, type, key,
     envelope, data, raw, state, lease_by, due, attempts, history, parked_at)
   select ${numbered ? 'seq, ' : ''}queue, via, kind, ce_source, id, identified, type, key, envelope::json, data::json, raw,
     state, lease_by, now() + due_in * interval '1 millisecond', attempts, history::jsonb,
     case when state = 'parked' then now() end
   from unnest(${arrays(numbered ? 17 : 16)}) with ordinality as new (${columns}, ${numbered ? 'seq, ' : ''}position)
   order by position
   ${conflict}`

/** The columns of `insertText`, one array each; `asRaw`: see `payloadOf`. */
export const insertValues = (rows: readonly NewRow[], asRaw: boolean): unknown[][] => {
  const events = rows.map(({ arrival }) => arrival.event)
  const payloads = rows.map(({ arrival, raw }) => (raw === undefined ? payloadOf(arrival, asRaw) : { data: null, raw }))
  return [
    rows.map(({ queue }) => queue),
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
    rows.map(({ state }) => state),
    rows.map(({ leaseBy }) => leaseBy ?? null),
    rows.map(({ dueInMs }) => Math.round(dueInMs ?? 0)),
    rows.map(({ attempts }) => attempts ?? 0),
    rows.map(({ history }) => (history === undefined ? null : historyOf(history))),
    ...(rows[0]?.seq === undefined ? [] : [rows.map(({ seq }) => seq)]),
  ]
}

/** As jsonb takes it: no U+0000 and no lone surrogates, which error messages may hold. */
export const historyOf = (history: readonly AttemptRecord[]): string =>
  JSON.stringify(history, (_name, value) => (typeof value === 'string' ? textOf(value.toWellFormed()) : value))
