import { createHmac, createPublicKey, type KeyObject, verify as verifyEd25519 } from 'node:crypto'
import type { Secrets, SignatureScheme } from '../signatures.ts'
import {
  checkTimestamp,
  invalidSecret,
  isDeliveryId,
  refused,
  requiredHeaders,
  same,
  secretBytes,
  secretKeys,
} from '../signatures.ts'

/**
 * Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp` and `webhook-signature` over `id.timestamp.body`.
 * A secret is `whsec_` and base64 (HMAC-SHA256, signatures `v1,…`) or `whpk_` and base64 (an ed25519 public key,
 * signatures `v1a,…`); both kinds may live side by side. A header holds up to 16 signatures, one must be good.
 *
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export const standardWebhooks = (secrets: Secrets): SignatureScheme =>
  signedMessages('standardWebhooks', 'webhook', secrets)

/** Svix: Standard Webhooks with `svix-` headers. https://docs.svix.com/receiving/verifying-payloads/how-manual */
export const svix = (secrets: Secrets): SignatureScheme => signedMessages('svix', 'svix', secrets)

type Verifier = (version: string, signature: string, signed: Buffer) => boolean

const signatureGrammar = /^v\d{1,2}[a-z]?,[A-Za-z0-9+/]{1,512}={0,2}$/
const base64Grammar = /^[A-Za-z0-9+/]+={0,2}$/
const mostSignatures = 16
const ed25519SpkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')

const signedMessages = (name: string, prefix: string, secrets: Secrets): SignatureScheme => {
  const all = typeof secrets === 'string' ? [secrets] : secrets
  const verifiers = all.map((secret) => verifierOf(name, secret))
  if (verifiers.length === 0) secretBytes(name, all)
  const names = [`${prefix}-id`, `${prefix}-timestamp`, `${prefix}-signature`]
  const shared = all.find((secret) => !secret.startsWith('whpk_'))
  const sign = shared === undefined ? {} : { sign: signerOf(prefix, sharedKey(name, shared)) }
  return {
    ...sign,
    name,
    challenge: 'Signature',
    verify(headers, rawBody, nowSeconds) {
      const found = requiredHeaders(headers, names)
      if (!found.ok) return found
      const [id, timestamp, list] = found.values as [string, string, string]
      if (!isDeliveryId(id)) return refused('malformed')
      const signatures = list.split(' ')
      if (signatures.length > mostSignatures) return refused('malformed')
      if (!signatures.every((signature) => signatureGrammar.test(signature))) return refused('malformed')
      const stale = checkTimestamp(timestamp, nowSeconds)
      if (stale !== undefined) return refused(stale)
      const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), rawBody])
      for (const entry of signatures) {
        const [version, signature] = entry.split(',') as [string, string]
        if (verifiers.some((isGood) => isGood(version, signature, signed))) return { ok: true, id }
      }
      return refused('forged')
    },
  }
}

const verifierOf = (scheme: string, secret: string): Verifier => {
  if (secret.startsWith('whpk_')) return ed25519Verifier(publicKeyOf(scheme, secret.slice('whpk_'.length)))
  if (secret.startsWith('whsk_')) throw invalidSecret(scheme, 'is a private key (whsk_); give the public key (whpk_)')
  const key = sharedKey(scheme, secret)
  return (version, signature, signed) => version === 'v1' && same(digestOf(key, signed), signature)
}

const signerOf =
  (prefix: string, key: KeyObject): NonNullable<SignatureScheme['sign']> =>
  (rawBody, id, now) => ({
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: String(now),
    [`${prefix}-signature`]: `v1,${digestOf(key, Buffer.concat([Buffer.from(`${id}.${now}.`), rawBody]))}`,
  })

const sharedKey = (scheme: string, secret: string): KeyObject => {
  const encoded = secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : secret
  return secretKeys(scheme, encoded, (text) => decodeBase64(scheme, text))[0]
}

const digestOf = (key: KeyObject, signed: Buffer): string => createHmac('sha256', key).update(signed).digest('base64')

const ed25519Verifier =
  (key: KeyObject): Verifier =>
  (version, signature, signed) => {
    if (version !== 'v1a') return false
    const bytes = Buffer.from(signature, 'base64')
    return bytes.length === 64 && bytes.toString('base64') === signature && verifyEd25519(null, signed, key, bytes)
  }

const publicKeyOf = (scheme: string, encoded: string): KeyObject => {
  const bytes = decodeBase64(scheme, encoded)
  if (bytes.length !== 32) throw invalidSecret(scheme, 'is not an ed25519 public key (whpk_ and 32 bytes in base64)')
  return createPublicKey({ key: Buffer.concat([ed25519SpkiPrefix, bytes]), format: 'der', type: 'spki' })
}

const decodeBase64 = (scheme: string, encoded: string): Buffer => {
  if (!base64Grammar.test(encoded)) throw invalidSecret(scheme, 'is not base64 (whsec_… or whpk_…)')
  return Buffer.from(encoded, 'base64')
}
