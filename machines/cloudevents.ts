import { ControllerError } from './errors.ts'
import type { ArrivedEvent, EventKind } from './event.ts'

/**
 * Reads what a transport carried as an event: CloudEvents 1.0 in binary mode (attributes in headers), in structured mode
 * (`application/cloudevents+json`), or a plain payload for which the source supplies the attributes.
 *
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md and its siblings for
 * AMQP and Kafka; they differ in the header prefix only, which the driver has taken off.
 */
export interface Transported {
  readonly kind: EventKind
  readonly via: string
  readonly contentType: string | undefined
  readonly body: Uint8Array
  /** Binary-mode attributes, prefix removed, names in lower case. Empty for a plain payload. */
  readonly attributes: Readonly<Record<string, string>>
  /** What a plain payload gets; CloudEvents attributes win over it. */
  readonly fallback: {
    readonly id: string
    /** Whether `id` comes from the sender (message id, record position) and not from us. */
    readonly identified: boolean
    readonly type: string | ((data: unknown) => string)
    readonly subject?: string
    readonly time?: string
    readonly partitionkey?: string
    readonly extensions?: Readonly<Record<string, string | number | boolean>>
  }
}

export interface Decoded {
  readonly event: ArrivedEvent
  /** The payload verbatim, when it is JSON. */
  readonly json?: string
  readonly defect?: { readonly error: ControllerError; readonly raw: Uint8Array }
}

const known = new Set([
  'id',
  'source',
  'type',
  'specversion',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
  'traceparent',
  'partitionkey',
  'data',
  'data_base64',
])
const maxDepth = 64
const protoInText = /__proto__|\\u005f/i
const structured = /^application\/cloudevents\+json\s*(;|$)/i
const batched = /^application\/cloudevents-batch/i
const jsonType = /^(application\/json|text\/json|application\/[\w.+-]+\+json)\s*(;|$)/i
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

export const decodeEvent = (transported: Transported): Decoded => {
  const { body, contentType } = transported
  try {
    if (contentType !== undefined && batched.test(contentType))
      throw malformed('a batch of CloudEvents; send one event a message')
    if (contentType !== undefined && structured.test(contentType)) return decodeStructured(transported)
    if (contentType !== undefined && !jsonType.test(contentType)) return decodeOpaque(transported, contentType)
    const json = decodeUtf8(body)
    const data = parseJson(json)
    return { event: build(transported, transported.attributes, data), json }
  } catch (thrown) {
    const error =
      thrown instanceof ControllerError ? thrown : malformed('the type of the event could not be told from it', thrown)
    const type = typeof transported.fallback.type === 'string' ? transported.fallback.type : 'unreadable'
    const event = build(
      { ...transported, fallback: { ...transported.fallback, type } },
      transported.attributes,
      undefined,
    )
    return { event, defect: { error, raw: body } }
  }
}

/**
 * JSON as we take it from strangers: at most 64 levels deep and without `__proto__`.
 * @throws ControllerError EVENT_MALFORMED
 */
export const parseJson = (text: string): unknown => {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch (thrown) {
    throw malformed('not JSON', thrown)
  }
  if (deepEnoughToCheck(text)) refuseDeep(data, 1)
  if (protoInText.test(text)) refuseProto(data)
  return data
}

/** @throws ControllerError EVENT_MALFORMED */
export const decodeUtf8 = (body: Uint8Array): string => {
  try {
    return strictUtf8.decode(body)
  } catch (thrown) {
    throw malformed('not UTF-8', thrown)
  }
}

const decodeStructured = (transported: Transported): Decoded => {
  const parsed = parseJson(decodeUtf8(transported.body))
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw malformed('not a CloudEvent: not a JSON object')
  const fields = parsed as Record<string, unknown>
  const attributes: Record<string, string> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'data' || name === 'data_base64') continue
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      attributes[name] = String(value)
  }
  if (typeof fields['data_base64'] === 'string') {
    return { event: build(transported, attributes, Buffer.from(fields['data_base64'], 'base64')) }
  }
  const data = fields['data']
  return { event: build(transported, attributes, data), json: JSON.stringify(data ?? null) }
}

const decodeOpaque = (transported: Transported, contentType: string): Decoded => {
  const data = contentType.startsWith('text/') ? decodeUtf8(transported.body) : transported.body
  const event = build(transported, { datacontenttype: contentType, ...transported.attributes }, data)
  return typeof data === 'string' ? { event, json: JSON.stringify(data) } : { event }
}

const build = (transported: Transported, attributes: Readonly<Record<string, string>>, data: unknown): ArrivedEvent => {
  const { kind, via, fallback } = transported
  const type = attributes['type'] ?? (typeof fallback.type === 'string' ? fallback.type : fallback.type(data))
  const subject = attributes['subject'] ?? fallback.subject
  const time = attributes['time'] ?? fallback.time
  const partitionkey = attributes['partitionkey'] ?? fallback.partitionkey
  const { datacontenttype, dataschema, traceparent } = attributes
  const extensions = extensionsOf(attributes, fallback.extensions)
  const event: Mutable<ArrivedEvent> = {
    id: attributes['id'] ?? fallback.id,
    source: attributes['source'] ?? `koksmat:${via}`,
    type,
    data,
    kind,
    via,
    identified: attributes['id'] !== undefined || fallback.identified,
  }
  if (subject !== undefined) event.subject = subject
  if (time !== undefined) event.time = time
  if (datacontenttype !== undefined) event.datacontenttype = datacontenttype
  if (dataschema !== undefined) event.dataschema = dataschema
  if (traceparent !== undefined) event.traceparent = traceparent
  if (partitionkey !== undefined) event.partitionkey = partitionkey
  if (extensions !== undefined) event.extensions = extensions
  return event
}

/** Filled in field by field: this runs for every event. */
type Mutable<T> = { -readonly [Field in keyof T]: T[Field] }

const extensionsOf = (
  attributes: Readonly<Record<string, string>>,
  base: Readonly<Record<string, string | number | boolean>> | undefined,
): Readonly<Record<string, string | number | boolean>> | undefined => {
  let found: Record<string, string | number | boolean> | undefined
  for (const name in attributes) {
    if (known.has(name)) continue
    found ??= { ...base }
    found[name] = attributes[name] as string
  }
  return found ?? base
}

const malformed = (what: string, cause?: unknown): ControllerError =>
  new ControllerError('EVENT_MALFORMED', `The payload is ${what}.`, cause === undefined ? {} : { cause })

/** A cheap upper bound: text with fewer brackets than the limit cannot be too deep, and each that opens is closed. */
const deepEnoughToCheck = (text: string): boolean => {
  if (text.length <= 2 * maxDepth) return false
  let brackets = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if ((code === 0x5b || code === 0x7b) && ++brackets > maxDepth) return true
  }
  return false
}

const refuseDeep = (value: unknown, depth: number): void => {
  if (typeof value !== 'object' || value === null) return
  if (depth > maxDepth) throw malformed(`nested deeper than ${maxDepth} levels`)
  for (const child of Object.values(value)) refuseDeep(child, depth + 1)
}

const refuseProto = (value: unknown): void => {
  if (typeof value !== 'object' || value === null) return
  if (Object.hasOwn(value, '__proto__')) throw malformed('one that names __proto__')
  for (const child of Object.values(value)) refuseProto(child)
}
