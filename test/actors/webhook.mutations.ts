import { createHmac, generateKeyPairSync, sign as signEd25519 } from 'node:crypto'
import fc from 'fast-check'

/** Requests whose signature is good, for each scheme that signs the body, and what may happen to them on their way. */
export const secret = 'a secret of at least twenty-four bytes'
export const standardSecret = (of = secret): string => `whsec_${Buffer.from(of).toString('base64')}`

const keys = generateKeyPairSync('ed25519')
export const publicKey = `whpk_${keys.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64')}`

export interface Good {
  readonly name: 'standardWebhooks v1' | 'standardWebhooks v1a' | 'github' | 'stripe' | 'slack'
  /** Names and values in turn, as `IncomingMessage.rawHeaders` has them. */
  readonly headers: readonly string[]
}

export const goodRequests = (body: Buffer, now: number, id: string, of = secret): readonly Good[] => {
  const mac = (signed: string, encoding: 'hex' | 'base64' = 'hex'): string =>
    createHmac('sha256', of).update(signed).update(body).digest(encoding)
  const message = (signature: string) => [
    'webhook-id',
    id,
    'webhook-timestamp',
    `${now}`,
    'webhook-signature',
    signature,
  ]
  const signed = Buffer.concat([Buffer.from(`${id}.${now}.`), body])
  const ed25519 = signEd25519(null, signed, keys.privateKey).toString('base64')
  return [
    { name: 'standardWebhooks v1', headers: message(`v1,${mac(`${id}.${now}.`, 'base64')}`) },
    { name: 'standardWebhooks v1a', headers: message(`v1a,${ed25519}`) },
    { name: 'github', headers: ['x-hub-signature-256', `sha256=${mac('')}`] },
    { name: 'stripe', headers: ['stripe-signature', `t=${now},v1=${mac(`${now}.`)}`] },
    {
      name: 'slack',
      headers: ['x-slack-request-timestamp', `${now}`, 'x-slack-signature', `v0=${mac(`v0:${now}:`)}`],
    },
  ]
}

/** One thing of a good request changed: a character or byte replaced, removed, put in, a part swapped or cut. */
export const mutation = fc.record({
  /** Which part: the body, or the value of a header. */
  part: fc.nat(),
  at: fc.nat(),
  how: fc.constantFrom('replace', 'remove', 'insert', 'cut', 'case', 'repeat', 'flip'),
  with: fc.integer({ min: 0x20, max: 0x7e }),
})

export type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never

const mutated = (part: Buffer, change: Mutation): Buffer => {
  const at = change.at % part.length
  const [before, here, after] = [part.subarray(0, at), part.subarray(at, at + 1), part.subarray(at + 1)]
  const given = Buffer.from([change.with])
  switch (change.how) {
    case 'replace':
      return Buffer.concat([before, given, after])
    case 'remove':
      return Buffer.concat([before, after])
    case 'insert':
      return Buffer.concat([before, given, here, after])
    case 'cut':
      return before
    case 'case':
      return Buffer.from([...part].map((byte, i) => (i === at ? byte ^ 0x20 : byte)))
    case 'repeat':
      return Buffer.concat([part, part])
    case 'flip':
      return Buffer.from([...part].map((byte, i) => (i === at ? byte ^ (1 << (change.with % 7)) : byte)))
  }
}

/** The request with that change; undefined when it is still the same one to whoever reads HTTP. */
export const mutatedRequest = (
  headers: readonly string[],
  body: Buffer,
  change: Mutation,
): { readonly headers: readonly string[]; readonly body: Buffer } | undefined => {
  const values = headers.length / 2
  const part = change.part % (values + 1)
  if (part === values) {
    const other = mutated(body, change)
    return other.equals(body) ? undefined : { headers, body: other }
  }
  const original = headers[part * 2 + 1] as string
  const other = mutated(Buffer.from(original), change).toString('latin1')
  if (other.trim() === original) return undefined
  return { headers: headers.map((value, i) => (i === part * 2 + 1 ? other : value)), body }
}
