import type { Arrival, AttemptRecord } from '../../machines/journal.ts'
import { envelopeOf, payloadOf, textOf } from './rows.ts'
import type { Names } from './schema.ts'

/**
 * Inserts many events with one statement: an array a column, which `unnest` makes rows of again. Columns that are the
 * same for all rows are cheaper as constants, so a statement says which it has as what.
 */
interface InsertShape {
  /** Arrays after those of the event itself, with their types. */
  readonly arrays: Readonly<Record<string, string>>
  /** Columns of the table after those of the event itself, with what goes in. */
  readonly columns: Readonly<Record<string, string>>
  /** What happens to an event that is there already, and what is returned. */
  readonly conflict: string
}

const eventArrays = {
  via: 'text',
  kind: 'text',
  ce_source: 'text',
  id: 'text',
  identified: 'boolean',
  type: 'text',
  key: 'text',
  envelope: 'text',
  data: 'text',
  raw: 'bytea',
}
const eventColumns = 'via, kind, ce_source, id, identified, type, key, envelope, data, raw'
const eventExpressions = 'via, kind, ce_source, id, identified, type, key, envelope::json, data::json, raw'

export const insertText = ({ quoted }: Names, { arrays, columns, conflict }: InsertShape): string => {
  const all = Object.entries({ ...eventArrays, ...arrays })
  return `insert into ${quoted}.event as e (${eventColumns}, ${Object.keys(columns).join(', ')})
    select ${eventExpressions}, ${Object.values(columns).join(', ')}
    from unnest(${all.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ')})
      with ordinality as new (${all.map(([name]) => name).join(', ')}, position)
    order by position ${conflict}`
}

/** The arrays of the events themselves; `asRaw`: see `payloadOf`. */
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

/**
 * The same, as the SQL function `accept` takes them: JSON texts as one, separated by what no JSON holds (RFC 7464), so that
 * nobody has to escape them and to read that again.
 */
export const acceptValues = (arrivals: readonly Arrival[], asRaw: boolean): unknown[] => {
  const [via, kind, source, id, identified, type, key, envelope, data, raw] = eventValues(arrivals, asRaw)
  return [via, kind, source, id, identified, type, key, envelope?.join('\u001e'), data?.join('\u001e'), raw]
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

/** For the values of `rowValues`. */
export const insertRowsText = (names: Names, conflict: string): string =>
  insertText(names, {
    arrays: { queue: 'text', state: 'text', due_in: 'bigint', attempts: 'integer', history: 'text' },
    columns: {
      queue: 'queue',
      state: 'state',
      due: `now() + due_in * interval '1 millisecond'`,
      attempts: 'attempts',
      history: 'history::jsonb',
      parked_at: `case when state = 'parked' then now() end`,
    },
    conflict,
  })

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
