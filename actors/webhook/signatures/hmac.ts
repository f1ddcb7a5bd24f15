import { createHmac, type KeyObject } from 'node:crypto'
import type { Secrets, SignatureScheme } from '../signatures.ts'
import { checkTimestamp, deliveryId, refused, requiredHeaders, same, secretKeys } from '../signatures.ts'

/**
 * The senders that put an HMAC of the body into one header.
 *
 * Where only the body is signed (GitHub, Shopify, the generic one) a captured request can be sent again, and the
 * delivery id that tells a repeat is not covered by the signature: the transport has to be TLS.
 */
export interface HmacOptions {
  readonly header: string
  /** Default `sha256`. */
  readonly algorithm?: 'sha256' | 'sha384' | 'sha512'
  /** Default `hex`, in lower case. */
  readonly encoding?: 'hex' | 'base64'
  /** What stands before the digest, e.g. `sha256=`. Default: nothing. */
  readonly prefix?: string
}

/** An HMAC of the raw body in a header of your choice. It has no delivery id; name one with the option `id`. */
export const hmac = (secrets: Secrets, options: HmacOptions): SignatureScheme => bodyHmac('hmac', secrets, options)

/** GitHub: `X-Hub-Signature-256`, repeats told by `X-GitHub-Delivery`. https://docs.github.com/en/webhooks */
export const github = (secrets: Secrets): SignatureScheme =>
  bodyHmac('github', secrets, { header: 'x-hub-signature-256', prefix: 'sha256=', idHeader: 'x-github-delivery' })

/** Shopify: `X-Shopify-Hmac-Sha256`, repeats told by `X-Shopify-Webhook-Id`. https://shopify.dev/docs/apps/build/webhooks */
export const shopify = (secrets: Secrets): SignatureScheme =>
  bodyHmac('shopify', secrets, {
    header: 'x-shopify-hmac-sha256',
    encoding: 'base64',
    idHeader: 'x-shopify-webhook-id',
  })

/**
 * Stripe: `Stripe-Signature: t=…,v1=…[,v1=…]` over `t.body`; the event's id is in the payload.
 * https://docs.stripe.com/webhooks#verify-manually
 */
export const stripe = (secrets: Secrets): SignatureScheme => {
  const keys = secretKeys('stripe', secrets)
  const digest = (key: KeyObject, timestamp: string, rawBody: Uint8Array): string =>
    createHmac('sha256', key).update(`${timestamp}.`).update(rawBody).digest('hex')
  return {
    name: 'stripe',
    challenge: 'Signature',
    verify(headers, rawBody, nowSeconds) {
      const found = requiredHeaders(headers, ['stripe-signature'])
      if (!found.ok) return found
      const parts = stripeParts(found.values[0] as string)
      if (parts === undefined) return refused('malformed')
      const stale = checkTimestamp(parts.timestamp, nowSeconds)
      if (stale !== undefined) return refused(stale)
      const good = keys.some((key) => {
        const expected = digest(key, parts.timestamp, rawBody)
        return parts.signatures.some((signature) => same(expected, signature))
      })
      return good ? { ok: true } : refused('forged')
    },
    sign: (rawBody, _id, now) => ({ 'stripe-signature': `t=${now},v1=${digest(keys[0], String(now), rawBody)}` }),
    idIn: (data) => stringField(data, 'id'),
  }
}

/**
 * Slack: `X-Slack-Signature: v0=…` over `v0:timestamp:body`; the id of an Events API event is in the payload.
 * https://docs.slack.dev/authentication/verifying-requests-from-slack
 */
export const slack = (secrets: Secrets): SignatureScheme => {
  const keys = secretKeys('slack', secrets)
  const digest = (key: KeyObject, timestamp: string, rawBody: Uint8Array): string =>
    `v0=${createHmac('sha256', key).update(`v0:${timestamp}:`).update(rawBody).digest('hex')}`
  return {
    name: 'slack',
    challenge: 'Signature',
    verify(headers, rawBody, nowSeconds) {
      const found = requiredHeaders(headers, ['x-slack-request-timestamp', 'x-slack-signature'])
      if (!found.ok) return found
      const [timestamp, signature] = found.values as [string, string]
      const stale = checkTimestamp(timestamp, nowSeconds)
      if (stale !== undefined) return refused(stale)
      if (!slackGrammar.test(signature)) return refused('malformed')
      const good = keys.some((key) => same(digest(key, timestamp, rawBody), signature))
      return good ? { ok: true } : refused('forged')
    },
    sign: (rawBody, _id, now) => ({
      'x-slack-request-timestamp': String(now),
      'x-slack-signature': digest(keys[0], String(now), rawBody),
    }),
    idIn: (data) => stringField(data, 'event_id'),
  }
}

const slackGrammar = /^v0=[0-9a-f]{64}$/
const stripePart = /^([a-z][a-z0-9_]{0,15})=([0-9a-zA-Z]{1,128})$/
const mostStripeParts = 16

const bodyHmac = (name: string, secrets: Secrets, options: HmacOptions & { idHeader?: string }): SignatureScheme => {
  const { algorithm = 'sha256', encoding = 'hex', prefix = '', idHeader } = options
  const keys = secretKeys(name, secrets)
  const header = options.header.toLowerCase()
  const digest = (key: KeyObject, rawBody: Uint8Array): string =>
    prefix + createHmac(algorithm, key).update(rawBody).digest(encoding)
  return {
    name,
    challenge: 'Signature',
    verify(headers, rawBody) {
      const found = requiredHeaders(headers, [header])
      if (!found.ok) return found
      const signature = found.values[0] as string
      const good = keys.some((key) => same(digest(key, rawBody), signature))
      if (!good) return refused('forged')
      if (idHeader === undefined) return { ok: true }
      const delivery = deliveryId(headers, idHeader)
      return delivery === 'malformed' ? refused('malformed') : { ok: true, ...delivery }
    },
    sign: (rawBody, id) => ({
      [header]: digest(keys[0], rawBody),
      ...(idHeader === undefined ? {} : { [idHeader]: id }),
    }),
  }
}

const stripeParts = (header: string): { timestamp: string; signatures: readonly string[] } | undefined => {
  const parts = header.split(',')
  if (parts.length > mostStripeParts) return undefined
  const timestamps: string[] = []
  const signatures: string[] = []
  for (const part of parts) {
    const [, key, value] = stripePart.exec(part) ?? []
    if (key === undefined || value === undefined) return undefined
    if (key === 't') timestamps.push(value)
    if (key === 'v1') signatures.push(value)
  }
  const [timestamp, ...others] = timestamps
  return timestamp === undefined || others.length > 0 || signatures.length === 0 ? undefined : { timestamp, signatures }
}

const stringField = (data: unknown, name: string): string | undefined => {
  if (typeof data !== 'object' || data === null) return undefined
  const value = (data as Record<string, unknown>)[name]
  return typeof value === 'string' ? value : undefined
}
