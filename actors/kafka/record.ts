import { isUtf8 } from 'node:buffer'
import { decodeEvent, type Transported } from '../../machines/cloudevents.ts'
import type { Delivery } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { KafkaOptions } from './options.ts'

/** A record as the library brings it. A missing key and a tombstone's value are `undefined`. */
export interface KafkaRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly timestamp: bigint
  readonly key: Buffer | undefined
  readonly value: Buffer | undefined
  readonly headerEntries: readonly (readonly [name: Buffer | undefined, value: Buffer | undefined])[]
}

export type DecodedRecord = Pick<Delivery, 'event' | 'bytes' | 'defect'>

/**
 * Reads records as events: the Kafka binding of CloudEvents, binary (`ce_` headers) and structured, or plain JSON.
 *
 * | record     | event                                                                                     |
 * |------------|-------------------------------------------------------------------------------------------|
 * | position   | `id`, as `topic/partition/offset`, unless the sender gave one: the same after a redelivery |
 * | key        | `partitionkey`; base64 where it is not UTF-8                                               |
 * | timestamp  | `time`                                                                                    |
 * | headers    | attributes (`ce_…`, `content-type`, `traceparent`), else extensions where the name allows  |
 * | no value   | `data: null` with the extension `tombstone: true`                                          |
 *
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
 */
export const createDecoder = (
  via: string,
  options: Pick<KafkaOptions, 'type' | 'maxEventBytes'>,
): ((record: KafkaRecord) => DecodedRecord) => {
  const timeOf = createClock()
  return (record) => {
    const { key, value, topic } = record
    const bytes = value?.length ?? 0
    const headers = record.headerEntries.length === 0 ? noHeaders : readHeaders(record.headerEntries)
    const partitionkey = key === undefined ? undefined : isUtf8(key) ? key.toString() : key.toString('base64')
    const time = timeOf(record.timestamp)
    const tooLarge = bytes > options.maxEventBytes
    const readable = value !== undefined && !tooLarge
    const extensions = value === undefined ? { ...headers.extensions, tombstone: true } : headers.extensions
    const fallback: Fallback = {
      id: `${topic}/${record.partition}/${Number(record.offset)}`,
      identified: true,
      type: typeOf(options.type, topic, partitionkey, headers.named),
    }
    if (time !== undefined) fallback.time = time
    if (partitionkey !== undefined) fallback.partitionkey = partitionkey
    if (extensions !== undefined) fallback.extensions = extensions
    const decoded = decodeEvent({
      kind: 'queue.event',
      via,
      contentType: readable ? headers.contentType : undefined,
      body: readable ? value : nothing,
      attributes: headers.attributes,
      fallback,
    })
    if (tooLarge) {
      return {
        event: { ...decoded.event, data: undefined },
        bytes,
        defect: { error: tooLargeError(bytes, options), raw: value ?? nothing },
      }
    }
    return decoded.defect === undefined
      ? { event: decoded.event, bytes }
      : { event: decoded.event, bytes, defect: decoded.defect }
  }
}

/** Filled in field by field: this runs for every record. */
type Fallback = { -readonly [Field in keyof Transported['fallback']]: Transported['fallback'][Field] }

interface Headers {
  readonly contentType: string | undefined
  readonly attributes: Readonly<Record<string, string>>
  readonly extensions: Readonly<Record<string, string>> | undefined
  /** All of them, under their own names. */
  readonly named: Readonly<Record<string, string>>
}

const nothing = Buffer.from('null')
const noHeaders: Headers = { contentType: undefined, attributes: {}, extensions: undefined, named: {} }
const attributeName = /^[a-z0-9]+$/
const extensionName = /^[a-z0-9]{1,20}$/
/** Names that mean something else in a CloudEvent, so that a plain header of that name cannot be an extension. */
const taken = new Set(
  'id source type specversion subject time datacontenttype dataschema partitionkey data tombstone'.split(' '),
)

const readHeaders = (entries: KafkaRecord['headerEntries']): Headers => {
  let contentType: string | undefined
  let extensions: Record<string, string> | undefined
  const attributes: Record<string, string> = {}
  const named: Record<string, string> = {}
  for (const [rawName, rawValue] of entries) {
    const name = rawName?.toString() ?? ''
    const value = rawValue?.toString() ?? ''
    named[name] = value
    const lower = name.toLowerCase()
    if (lower.startsWith('ce_')) {
      const attribute = lower.slice(3)
      if (attributeName.test(attribute)) attributes[attribute] = value
    } else if (lower === 'content-type') {
      contentType = value
      attributes['datacontenttype'] = value
    } else if (lower === 'traceparent') {
      attributes['traceparent'] ??= value
    } else if (extensionName.test(name) && !taken.has(name)) {
      extensions ??= {}
      extensions[name] = value
    }
  }
  return { contentType, attributes, extensions, named }
}

/** A function of the user is called by the decoder, which answers for what it throws. */
const typeOf = (
  type: KafkaOptions['type'],
  topic: string,
  key: string | undefined,
  headers: Readonly<Record<string, string>>,
): string | (() => string) => {
  if (typeof type === 'string') return type
  if (typeof type === 'function') return () => type({ topic, headers, ...(key === undefined ? {} : { key }) })
  return headers[type?.header ?? 'type'] ?? topic
}

/** Records come in runs of one millisecond: each is written once. */
const createClock = (): ((timestamp: bigint) => string | undefined) => {
  let last: bigint | undefined
  let text: string | undefined
  return (timestamp) => {
    if (timestamp === last) return text
    const date = new Date(Number(timestamp))
    last = timestamp
    text = timestamp < 0n || Number.isNaN(date.getTime()) ? undefined : date.toISOString()
    return text
  }
}

const tooLargeError = (bytes: number, { maxEventBytes }: { readonly maxEventBytes: number }): ControllerError =>
  new ControllerError('EVENT_TOO_LARGE', `The payload has ${bytes} bytes; the source takes ${maxEventBytes}.`)
