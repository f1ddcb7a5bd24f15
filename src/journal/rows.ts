import { decodeEvent, parseJson } from '../../machines/cloudevents.ts'
import { type ControllerError, toControllerError } from '../../machines/errors.ts'
import { type ArrivedEvent, type EventKind, identityOf } from '../../machines/event.ts'
import type { Arrival, Claimed } from '../../machines/journal.ts'

/**
 * An event as a row of `event`, and back. The payload is kept verbatim in `data` when it is JSON, and as bytes in `raw`
 * when it is not, or when Postgres refuses it; a raw payload is read like one that a broker brought.
 */
export interface EventRow {
  readonly seq: string
  readonly via: string
  readonly kind: EventKind
  readonly ce_source: string
  readonly id: string
  readonly identified: boolean
  readonly type: string
  readonly key: string | null
  readonly envelope: string | null
  readonly data: string | null
  readonly raw: Buffer | null
  readonly redelivered: boolean
  readonly attempts: number
  readonly checkpoint: string | null
}

/** The columns of an EventRow, of a table named `e`. JSON comes as text and is read by us. */
export const eventColumns =
  'e.seq::text, e.via, e.kind, e.ce_source, e.id, e.identified, e.type, e.key, e.envelope::text, e.data::text, e.raw, ' +
  'e.redelivered, e.attempts, e.checkpoint::text'

/** The same, of a query that has selected them. */
export const eventColumnNames =
  'seq, via, kind, ce_source, id, identified, type, key, envelope, data, raw, redelivered, attempts, checkpoint'

/** CloudEvents attributes without a column of their own. */
type Envelope = Pick<ArrivedEvent, 'subject' | 'time' | 'datacontenttype' | 'dataschema' | 'traceparent' | 'extensions'>

export const claimedOf = (row: EventRow, lease: string): Claimed => {
  const { event, defect } = decodeRow(row)
  return {
    event,
    bytes: row.raw?.byteLength ?? (row.data === null ? 0 : Buffer.byteLength(row.data)),
    redelivered: row.redelivered,
    row: {
      seq: row.seq,
      lease,
      attempts: row.attempts,
      ...(row.checkpoint === null ? {} : { checkpoint: JSON.parse(row.checkpoint) }),
    },
    ...(defect === undefined ? {} : { defect }),
  }
}

export const decodeRow = (row: EventRow): Pick<Claimed, 'event' | 'defect'> => {
  const envelope: Envelope = row.envelope === null ? {} : JSON.parse(row.envelope)
  if (row.raw !== null) return decodeRaw(row, row.raw, envelope)
  try {
    return { event: eventOf(row, envelope, row.data === null ? undefined : parseJson(row.data)) }
  } catch (thrown) {
    const error: ControllerError = toControllerError(thrown, 'EVENT_MALFORMED')
    return { event: eventOf(row, envelope, undefined), defect: { error, raw: Buffer.from(row.data ?? '') } }
  }
}

const decodeRaw = (row: EventRow, raw: Buffer, envelope: Envelope): Pick<Claimed, 'event' | 'defect'> => {
  const { event, defect } = decodeEvent({
    kind: row.kind,
    via: row.via,
    contentType: envelope.datacontenttype,
    body: raw,
    attributes: {},
    fallback: { id: row.id, identified: row.identified, type: row.type },
  })
  return { event: eventOf(row, envelope, event.data), ...(defect === undefined ? {} : { defect }) }
}

const eventOf = (row: EventRow, envelope: Envelope, data: unknown): ArrivedEvent => ({
  id: row.id,
  source: row.ce_source,
  type: row.type,
  data,
  ...envelope,
  ...(row.key === null ? {} : { partitionkey: row.key }),
  kind: row.kind,
  via: row.via,
  identified: row.identified,
})

/** What Postgres takes as text: everything but U+0000. */
export const textOf = (value: string): string => (value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value)

/** `identityOf`, as it stands in the table. */
export const storedIdentity = ({ source, id }: Pick<ArrivedEvent, 'source' | 'id'>): string =>
  identityOf({ source: textOf(source), id: textOf(id) })

export const envelopeOf = ({
  subject,
  time,
  datacontenttype,
  dataschema,
  traceparent,
  extensions,
}: ArrivedEvent): string | null => {
  const envelope = { subject, time, datacontenttype, dataschema, traceparent, extensions }
  const json = JSON.stringify(envelope)
  return json === '{}' ? null : json
}

export interface Payload {
  readonly data: string | null
  readonly raw: Uint8Array | null
}

/** `asRaw`: Postgres has refused the JSON of this group, so keep its bytes. */
export const payloadOf = ({ event, json }: Arrival, asRaw: boolean): Payload => {
  if (event.data instanceof Uint8Array) return { data: null, raw: event.data }
  const text = json ?? JSON.stringify(event.data)
  if (text === undefined) return { data: null, raw: null }
  return asRaw ? { data: null, raw: Buffer.from(text) } : { data: text, raw: null }
}
