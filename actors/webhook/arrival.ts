import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { parse as parseQuery } from 'node:querystring'
import { decodeEvent } from '../../machines/cloudevents.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { ArrivedEvent } from '../../machines/event.ts'
import type { Arrival } from '../../machines/journal.ts'
import { headerValues, type SignatureScheme } from './signatures.ts'

/**
 * Reads a verified request as an event: CloudEvents in binary mode (`ce-` headers) or structured mode, or plain JSON.
 *
 * An event is known by its source and id. A delivery id of the signature scheme comes first: it is what the sender
 * repeats, and the `ce-id` and `ce-source` headers are not signed. Then CloudEvents, the header that the user named, the
 * place in the payload that the scheme knows, and last an id of our own, by which no repeat can be told.
 */
export interface WebhookRequestFacts {
  /** The value of a header; the name in any case. */
  header(name: string): string | undefined
  readonly path: string
  readonly query: Readonly<Record<string, unknown>>
  /** The parsed body. */
  readonly body: unknown
}

export interface ReadingRules {
  readonly via: string
  readonly path: string
  readonly type: string | ((request: WebhookRequestFacts) => string)
  readonly scheme: Pick<SignatureScheme, 'idIn'>
  /** A header with the id of the event. */
  readonly idHeader: string | undefined
}

const binary = /^ce-/i
const required = ['specversion', 'id', 'source', 'type'] as const
const longest = [
  ['id', 512],
  ['source', 1_024],
  ['type', 256],
  ['subject', 1_024],
  ['partitionkey', 1_024],
] as const
const visible = /^[\x21-\x7e]{1,256}$/
const traceparentGrammar = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

/** @throws ControllerError EVENT_MALFORMED */
export const readArrival = (
  request: IncomingMessage,
  body: Buffer,
  deliveryId: string | undefined,
  { via, path, type, scheme, idHeader }: ReadingRules,
): Arrival => {
  const attributes = binaryAttributes(request.rawHeaders)
  if (deliveryId !== undefined) {
    delete attributes['id']
    delete attributes['source']
  }
  const knownId = deliveryId ?? idFromHeader(request, idHeader)
  const { event, json, defect } = decodeEvent({
    kind: 'webhook.event',
    via,
    contentType: request.headers['content-type'],
    body,
    attributes,
    fallback: {
      id: knownId ?? randomUUID(),
      identified: knownId !== undefined,
      type: typeof type === 'string' ? type : (data) => type(factsOf(request, path, data)),
    },
  })
  if (defect !== undefined) throw defect.error
  const named = event.identified ? event : withIdInside(event, scheme)
  refuseUnfit(named)
  return json === undefined ? { event: named } : { event: named, json }
}

const binaryAttributes = (rawHeaders: readonly string[]): Record<string, string> => {
  const attributes: Record<string, string> = {}
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!binary.test(rawHeaders[i] as string)) continue
    const header = (rawHeaders[i] as string).toLowerCase()
    const name = header.slice('ce-'.length)
    if (Object.hasOwn(attributes, name)) throw malformed(`The header ${header} came more than once.`)
    attributes[name] = percentDecoded(header, rawHeaders[i + 1] as string)
  }
  // Without it the request is not a CloudEvent, whatever its other headers are called.
  if (attributes['specversion'] === undefined) return traceOf(rawHeaders)
  if (attributes['specversion'] !== '1.0') throw malformed('Only CloudEvents 1.0 is understood (ce-specversion).')
  const missing = required.find((name) => !attributes[name])
  if (missing !== undefined) throw malformed(`The header ce-${missing} is missing.`)
  return { ...traceOf(rawHeaders), ...attributes }
}

const traceOf = (rawHeaders: readonly string[]): Record<string, string> => {
  const [traceparent] = headerValues(rawHeaders, 'traceparent')
  return traceparent !== undefined && traceparentGrammar.test(traceparent) ? { traceparent } : {}
}

const percentDecoded = (header: string, value: string): string => {
  try {
    return decodeURIComponent(value)
  } catch (cause) {
    throw malformed(`The header ${header} is not percent-encoded UTF-8.`, cause)
  }
}

const idFromHeader = (request: IncomingMessage, name: string | undefined): string | undefined => {
  if (name === undefined) return undefined
  const [id, ...others] = headerValues(request.rawHeaders, name.toLowerCase())
  if (id === undefined) return undefined
  if (others.length > 0 || !visible.test(id))
    throw malformed(`The header ${name} is not one id of up to 256 visible characters.`)
  return id
}

const withIdInside = (event: ArrivedEvent, { idIn }: Pick<SignatureScheme, 'idIn'>): ArrivedEvent => {
  const id = idIn?.(event.data)
  return id === undefined ? event : { ...event, id, identified: true }
}

/** What Postgres could not store or index. */
const refuseUnfit = (event: ArrivedEvent): void => {
  for (const [name, most] of longest) {
    const value = event[name]
    if (value === undefined) continue
    const fits = value.length > 0 && Buffer.byteLength(value) <= most
    if (!fits || value.includes('\0') || !value.isWellFormed()) {
      throw malformed(`The attribute "${name}" is not 1 to ${most} bytes of text.`)
    }
  }
}

const factsOf = ({ headers, url = '' }: IncomingMessage, path: string, body: unknown): WebhookRequestFacts => ({
  header: (name) => {
    const value = headers[name.toLowerCase()]
    return typeof value === 'string' ? value : value?.join(', ')
  },
  path,
  query: parseQuery(url.split('?').slice(1).join('?')),
  body,
})

const malformed = (message: string, cause?: unknown): ControllerError =>
  new ControllerError('EVENT_MALFORMED', message, cause === undefined ? {} : { cause })
