import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Linked, LinkedList } from '../../machines/linkedList.ts'
import { problem, type Reply, tooLarge, tooSlow, unavailable } from './replies.ts'
import { headerValues } from './signatures.ts'

/**
 * Reads bodies as raw bytes, never decoded or inflated. The size is bounded by what is declared before, and by what
 * comes while reading; the bodies of all requests under way share one more bound; each has a time to arrive.
 */
export interface BodyReader {
  /** Refuses a request by its headers alone. */
  refuse(request: IncomingMessage): Reply | undefined
  /** The body, a refusal, or `'gone'` when the sender left before its end. */
  read(request: IncomingMessage, response: ServerResponse): Promise<Buffer | Reply | 'gone'>
  /** Ends all reading with a 503. */
  interrupt(): void
}

export interface BodyLimits {
  readonly maxBytes: number
  /** Of all bodies being read together. */
  readonly maxBytesTogether: () => number
  readonly withinMs: number
}

interface Reading extends Linked<Reading> {
  interrupt(): void
}

const jsonTypes = /^(application\/json|text\/json|application\/[\w.+-]+\+json)\s*(?:;\s*(.*))?$/i
const batchedEvents = /^application\/cloudevents-batch/i
const utf8Charset = /^charset="?utf-8"?\s*;?$/i
const otherParameters = /charset\s*=/i
const atMostOnce = ['content-length', 'content-type', 'content-encoding']

export const createBodyReader = ({ maxBytes, maxBytesTogether, withinMs }: BodyLimits): BodyReader => {
  const readers = new LinkedList<Reading>()
  let held = 0

  const refuse = (request: IncomingMessage): Reply | undefined => {
    const { headers } = request
    const length = headers['content-length']
    if (length === undefined && headers['transfer-encoding'] === undefined) return problem(411, 'length')
    if (length !== undefined && Number(length) > maxBytes) return tooLarge(maxBytes)
    const encoding = headers['content-encoding']
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      return problem(415, 'encoding', {
        detail: 'The body must not be encoded.',
        headers: { 'accept-encoding': 'identity' },
      })
    }
    if (!isJsonType(headers['content-type'])) {
      return problem(415, 'mediaType', { detail: 'Send JSON in UTF-8: application/json, or any application/*+json.' })
    }
    return undefined
  }

  const read = (request: IncomingMessage, response: ServerResponse): Promise<Buffer | Reply | 'gone'> =>
    new Promise((resolve) => {
      let chunks: Buffer[] = []
      let size = 0
      const finish = (result: Buffer | Reply | 'gone'): void => {
        if (!readers.delete(reading)) return
        clearTimeout(timer)
        held -= size
        chunks = []
        resolve(result)
      }
      const take = (chunk: Buffer): void => {
        if (!readers.has(reading)) return
        size += chunk.length
        held += chunk.length
        if (size > maxBytes) finish(tooLarge(maxBytes))
        else if (held > maxBytesTogether()) finish(unavailable('memory'))
        else chunks.push(chunk)
      }
      const complete = (): void => finish(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size))
      const gone = (): void => finish('gone')
      const interrupt = (): void => finish(unavailable('draining'))
      const reading: Reading = { interrupt, previous: undefined, next: undefined }
      const timer = setTimeout(() => finish(tooSlow()), withinMs)
      readers.add(reading)
      if (request.headers.expect !== undefined) response.writeContinue()
      request.on('data', take).on('end', complete).on('close', gone).on('error', gone)
    })

  return { refuse, read, interrupt: () => readers.all().forEach(({ interrupt }) => void interrupt()) }
}

/**
 * Whether two readers of one connection could disagree about where this request ends or whom it is for: a doubled
 * header of those that say so, another transfer coding than `chunked`, a coding in HTTP/1.0. Node refuses most such
 * shapes by itself, but not these.
 */
export const isAmbiguous = (request: IncomingMessage): boolean => {
  const { rawHeaders, httpVersion } = request
  const hosts = headerValues(rawHeaders, 'host').length
  if (hosts !== 1 && !(httpVersion === '1.0' && hosts === 0)) return true
  if (atMostOnce.some((name) => headerValues(rawHeaders, name).length > 1)) return true
  const coding = request.headers['transfer-encoding']
  return coding !== undefined && (coding.toLowerCase() !== 'chunked' || httpVersion === '1.0')
}

const isJsonType = (contentType: string | undefined): boolean => {
  if (contentType === undefined || batchedEvents.test(contentType)) return false
  const [matched, , parameters = ''] = jsonTypes.exec(contentType) ?? []
  if (matched === undefined) return false
  return utf8Charset.test(parameters) || !otherParameters.test(parameters)
}
