import { randomUUID } from 'node:crypto'
import type { ConsumeMessage, MessageProperties } from 'amqplib'
import { decodeEvent, type Transported } from '../../machines/cloudevents.ts'
import type { Delivery } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { RabbitmqOptions } from './options.ts'

/**
 * Reads messages as events: the AMQP binding of CloudEvents, binary (`cloudEvents:` or `cloudEvents_` headers) and
 * structured, or plain JSON.
 *
 * | message              | event                                                                          |
 * |----------------------|--------------------------------------------------------------------------------|
 * | `message_id`         | `id`; without one an id is made up, so that duplicates of it cannot be told     |
 * | `type`, routing key  | `type`, unless the source says otherwise                                       |
 * | `timestamp`          | `time`                                                                         |
 * | `content_type`       | `datacontenttype`                                                              |
 * | headers              | `traceparent`, else extensions where name and value allow                      |
 *
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/amqp-protocol-binding.md
 */
export const createDecoder =
  (via: string, options: Pick<RabbitmqOptions, 'type' | 'maxEventBytes'>) =>
  (message: ConsumeMessage, receipt: number): Delivery => {
    const { content, properties, fields } = message
    const bytes = content.length
    const tooLarge = bytes > options.maxEventBytes
    const messageId = text(properties.messageId)
    const contentType = text(properties.contentType)
    const time = timeOf(properties.timestamp)
    const headers = readHeaders(properties.headers)
    if (contentType !== undefined) headers.attributes['datacontenttype'] = contentType
    const fallback: Fallback = {
      id: messageId ?? randomUUID(),
      identified: messageId !== undefined,
      type: typeOf(options.type, message),
    }
    if (time !== undefined) fallback.time = time
    if (headers.extensions !== undefined) fallback.extensions = headers.extensions
    const { event, defect } = decodeEvent({
      kind: 'queue.event',
      via,
      contentType: tooLarge ? undefined : contentType,
      body: tooLarge ? nothing : content,
      attributes: headers.attributes,
      fallback,
    })
    const redelivered = fields.redelivered || Number(properties.headers?.['x-delivery-count'] ?? 0) > 0
    if (tooLarge) {
      const error = tooLargeError(bytes, options)
      return { receipt, event: { ...event, data: undefined }, bytes, redelivered, defect: { error, raw: content } }
    }
    return defect === undefined
      ? { receipt, event, bytes, redelivered }
      : { receipt, event, bytes, redelivered, defect }
  }

/** Filled in field by field: this runs for every message. */
type Fallback = { -readonly [Field in keyof Transported['fallback']]: Transported['fallback'][Field] }

interface Headers {
  readonly attributes: Record<string, string>
  extensions: Record<string, string | number | boolean> | undefined
}

const nothing = Buffer.from('null')
const attributePrefix = /^cloudEvents[:_]([a-z0-9]+)$/i
const extensionName = /^[a-z0-9]{1,20}$/
/** Names that mean something else in a CloudEvent, so that a plain header of that name cannot be an extension. */
const taken = new Set('id source type specversion subject time datacontenttype dataschema partitionkey data'.split(' '))

const readHeaders = (given: MessageProperties['headers']): Headers => {
  const headers: Headers = { attributes: {}, extensions: undefined }
  for (const name in given) {
    const value: unknown = given[name]
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') continue
    const attribute = attributePrefix.exec(name)?.[1]?.toLowerCase()
    if (attribute !== undefined) {
      headers.attributes[attribute] = String(value)
    } else if (name.toLowerCase() === 'traceparent') {
      headers.attributes['traceparent'] ??= String(value)
    } else if (extensionName.test(name) && !taken.has(name)) {
      headers.extensions ??= {}
      headers.extensions[name] = value
    }
  }
  return headers
}

/** A function of the user is called by the decoder, which answers for what it throws. */
const typeOf = (type: RabbitmqOptions['type'], { fields, properties }: ConsumeMessage): string | (() => string) => {
  const { routingKey } = fields
  const headers = properties.headers ?? {}
  if (typeof type === 'function') return () => type({ routingKey, headers, properties: { ...properties } })
  const named: unknown = type === undefined ? undefined : headers[type.header]
  return text(named) ?? text(properties.type) ?? routingKey
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** Seconds since 1970, as AMQP has it; what is no such number is no time. */
const timeOf = (seconds: unknown): string | undefined => {
  if (typeof seconds !== 'number') return undefined
  const date = new Date(seconds * 1_000)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

const tooLargeError = (bytes: number, { maxEventBytes }: { readonly maxEventBytes: number }): ControllerError =>
  new ControllerError('EVENT_TOO_LARGE', `The payload has ${bytes} bytes; the source takes ${maxEventBytes}.`)
