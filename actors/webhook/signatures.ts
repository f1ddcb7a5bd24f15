import { createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { ControllerError } from '../../machines/errors.ts'

/**
 * # Signature schemes
 *
 * A scheme tells whether a request comes from somebody who knows the secret, from its headers and the raw bytes of its
 * body alone: no IO, no clock of its own, nothing parsed. All schemes keep the same rules:
 *
 * - one of each header that matters, in the exact grammar of the sender; anything else is refused;
 * - digests are compared as the sender writes them (no decoding, so no second spelling of a good signature), after a
 *   length check, in constant time;
 * - where the sender signs a time it may be off by 300 s in both directions;
 * - several secrets may live at once, so that one can be exchanged without a gap;
 * - a secret has at least 24 bytes, or the scheme cannot be made (CONFIG_INVALID).
 *
 * The sender learns nothing from a refusal; `reason` is for the log and the metric.
 */
export interface SignatureScheme {
  readonly name: string
  /** What a 401 names in `WWW-Authenticate`. */
  readonly challenge: string
  verify(headers: RawHeaders, rawBody: Uint8Array, nowSeconds: number): Verdict
  /**
   * The headers by which a sender proves a body, made with the first secret: for trials, as `koksmat-controller send`
   * makes them. `id` goes where the scheme has a place for one. Absent where only the sender has the key (ed25519).
   */
  sign?(rawBody: Uint8Array, id: string, nowSeconds: number): SignedHeaders
  /** Where this sender puts the id of an event inside the payload, when it has one there and none in a header. */
  idIn?(data: unknown): string | undefined
}

/** Names and values in turn, as they came: `request.rawHeaders`. */
export type RawHeaders = readonly string[]

export type SignedHeaders = Readonly<Record<string, string>>

/** `id`: what the sender repeats when it delivers the same event again. */
export type Verdict =
  | { readonly ok: true; readonly id?: string }
  | { readonly ok: false; readonly reason: RefusedBecause }

export type RefusedBecause = 'missing' | 'malformed' | 'stale' | 'forged'

/** One live secret, or several while one is being exchanged. */
export type Secrets = string | readonly string[]

export const leastSecretBytes = 24
export const toleranceSeconds = 300

const timestampGrammar = /^\d{1,12}$/
const idGrammar = /^[A-Za-z0-9_-]{1,256}$/

export const refused = (reason: RefusedBecause): Verdict => ({ ok: false, reason })

/** All values of a header, in the order they came; the name in lower case. */
export const headerValues = (headers: RawHeaders, name: string): readonly string[] => {
  const values: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    const candidate = headers[i] as string
    if (candidate.length === name.length && candidate.toLowerCase() === name) values.push(headers[i + 1] as string)
  }
  return values
}

/** The values of headers that must all be there exactly once, or why the request is refused. */
export const requiredHeaders = (
  headers: RawHeaders,
  names: readonly string[],
): { readonly ok: true; readonly values: readonly string[] } | (Verdict & { ok: false }) => {
  const values: string[] = []
  for (const name of names) {
    const found = headerValues(headers, name)
    const value = found[0]
    if (value === undefined || value === '') return { ok: false, reason: 'missing' }
    if (found.length > 1) return { ok: false, reason: 'malformed' }
    values.push(value)
  }
  return { ok: true, values }
}

/** A header with a delivery id, which may be absent: no `id` then, and `'malformed'` when it is not one id. */
export const deliveryId = (headers: RawHeaders, name: string): { readonly id?: string } | 'malformed' => {
  const found = headerValues(headers, name)
  const id = found[0]
  if (id === undefined) return {}
  return found.length === 1 && isDeliveryId(id) ? { id } : 'malformed'
}

export const isDeliveryId = (id: string): boolean => idGrammar.test(id)

export const checkTimestamp = (timestamp: string, nowSeconds: number): RefusedBecause | undefined => {
  if (!timestampGrammar.test(timestamp)) return 'malformed'
  return Math.abs(nowSeconds - Number(timestamp)) <= toleranceSeconds ? undefined : 'stale'
}

/** Equality that takes the same time wherever the difference is; only the length can be told from it. */
export const same = (expected: string, given: string): boolean => {
  if (expected.length !== given.length) return false
  const [a, b] = [Buffer.from(expected), Buffer.from(given)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/**
 * The secrets of a scheme, each as bytes.
 * @throws ControllerError CONFIG_INVALID when there is none, or one is short. The message never holds the secret.
 */
export const secretBytes = (
  scheme: string,
  secrets: Secrets,
  decode: (secret: string) => Buffer = (secret) => Buffer.from(secret),
): readonly [Buffer, ...Buffer[]] => {
  const [first, ...others] = (typeof secrets === 'string' ? [secrets] : secrets).map((secret) => {
    const bytes = decode(secret)
    if (bytes.length < leastSecretBytes) {
      throw invalidSecret(scheme, `has ${bytes.length} bytes; it needs at least ${leastSecretBytes}`)
    }
    return bytes
  })
  if (first === undefined) throw invalidSecret(scheme, 'is missing; give one, or several while one is being exchanged')
  return [first, ...others]
}

/** The same as keys of an HMAC. Made once: from bytes, Node takes eight times as long for each digest. */
export const secretKeys = (...given: Parameters<typeof secretBytes>): readonly [KeyObject, ...KeyObject[]] => {
  const [first, ...others] = secretBytes(...given)
  return [createSecretKey(first), ...others.map((bytes) => createSecretKey(bytes))]
}

export const invalidSecret = (scheme: string, problem: string): ControllerError =>
  new ControllerError('CONFIG_INVALID', `The secret of the webhook signature "${scheme}" ${problem}.`, {
    fields: { scheme },
  })
