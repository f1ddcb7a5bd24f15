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
  /** Instead of the arrival's payload. */
  readonly raw?: Uint8Array
}

/** One statement for many rows, in their order. `conflict` says what happens to an event that is there already. */
export const insertText = ({ quoted }: Names, conflict: string): string =>
  `insert into ${quoted}.event as e (queue, via, kind, ce_source, id, identified, type, key, envelope, data, raw,
     state, lease_by, due, attempts, history, parked_at)
   select queue, via, kind, ce_source, id, identified, type, key, envelope::json, data::json, raw,
     state, lease_by, now() + due_in * interval '1 millisecond', attempts, history::jsonb,
     case when state = 'parked' then now() end
   from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::text[], $8::text[],
     $9::text[], $10::text[], $11::bytea[], $12::text[], $13::bigint[], $14::bigint[], $15::integer[], $16::text[])
     with ordinality as new (queue, via, kind, ce_source, id, identified, type, key, envelope, data, raw,
       state, lease_by, due_in, attempts, history, position)
   order by position
   ${conflict}`

export const insertValues = (rows: readonly NewRow[], asRaw: boolean): unknown[][] => {
  const columns: unknown[][] = Array.from({ length: 16 }, () => [])
  for (const row of rows) {
    const { event } = row.arrival
    const { data, raw } = row.raw === undefined ? payloadOf(row.arrival, asRaw) : { data: null, raw: row.raw }
    const values = [
      row.queue,
      event.via,
      event.kind,
      textOf(event.source),
      textOf(event.id),
      event.identified,
      textOf(event.type),
      event.partitionkey === undefined ? null : textOf(event.partitionkey),
      envelopeOf(event),
      data,
      raw,
      row.state,
      row.leaseBy ?? null,
      Math.round(row.dueInMs ?? 0),
      row.attempts ?? 0,
      row.history === undefined ? null : historyOf(row.history),
    ]
    for (let column = 0; column < 16; column++) columns[column]?.push(values[column])
  }
  return columns
}

/** As jsonb takes it: no U+0000 and no lone surrogates, which error messages may hold. */
export const historyOf = (history: readonly AttemptRecord[]): string =>
  JSON.stringify(history, (_name, value) => (typeof value === 'string' ? textOf(value.toWellFormed()) : value))
