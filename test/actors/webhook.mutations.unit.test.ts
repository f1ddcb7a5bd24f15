import { createHmac, generateKeyPairSync, sign as signEd25519 } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { github, slack, stripe } from '../../actors/webhook/signatures/hmac.ts'
import { standardWebhooks } from '../../actors/webhook/signatures/standardWebhooks.ts'
import type { SignatureScheme } from '../../actors/webhook/signatures.ts'

const now = 1_700_000_000
const secret = 'a secret of at least twenty-four bytes'
const body = Buffer.from('{"order":7,"amount":"12.50","customer":"customer-1"}')
const mac = (signed: string, encoding: 'hex' | 'base64' = 'hex'): string =>
  createHmac('sha256', secret).update(signed).update(body).digest(encoding)
const keys = generateKeyPairSync('ed25519')
const signed = (id: string): Buffer => Buffer.concat([Buffer.from(`${id}.${now}.`), body])

interface Good {
  readonly name: string
  readonly scheme: SignatureScheme
  readonly headers: readonly string[]
}

const message = (signature: string) => [
  'webhook-id',
  'msg_p5jXN8AQM9LWM0D4loKWxJek',
  'webhook-timestamp',
  String(now),
  'webhook-signature',
  signature,
]
const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek'

const goods: readonly Good[] = [
  {
    name: 'standardWebhooks v1',
    scheme: standardWebhooks(`whsec_${Buffer.from(secret).toString('base64')}`),
    headers: message(`v1,${mac(`${id}.${now}.`, 'base64')}`),
  },
  {
    name: 'standardWebhooks v1a',
    scheme: standardWebhooks(
      `whpk_${keys.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64')}`,
    ),
    headers: message(`v1a,${signEd25519(null, signed(id), keys.privateKey).toString('base64')}`),
  },
  { name: 'github', scheme: github(secret), headers: ['x-hub-signature-256', `sha256=${mac('')}`] },
  { name: 'stripe', scheme: stripe(secret), headers: ['stripe-signature', `t=${now},v1=${mac(`${now}.`)}`] },
  {
    name: 'slack',
    scheme: slack(secret),
    headers: ['x-slack-request-timestamp', String(now), 'x-slack-signature', `v0=${mac(`v0:${now}:`)}`],
  },
]

/** One thing of a good request changed: a character or byte replaced, removed, put in, a part swapped or cut. */
const mutation = fc.record({
  /** Which part: the body, or the value of a header. */
  part: fc.nat(),
  at: fc.nat(),
  how: fc.constantFrom('replace', 'remove', 'insert', 'cut', 'case', 'repeat', 'flip'),
  with: fc.integer({ min: 0x20, max: 0x7e }),
})

type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never

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

test.each(goods)('$name: of 10,000 mutations of a good request none is accepted', ({ scheme, headers }) => {
  expect(scheme.verify(headers, body, now)).toMatchObject({ ok: true })
  let tried = 0
  fc.assert(
    fc.property(mutation, (change) => {
      const values = headers.length / 2
      const part = change.part % (values + 1)
      const original = part === values ? body : Buffer.from(headers[part * 2 + 1] as string)
      const other = mutated(original, change)
      if (other.equals(original)) return
      tried += 1
      const [newHeaders, newBody] =
        part === values
          ? [headers, other]
          : [headers.map((value, i) => (i === part * 2 + 1 ? other.toString('latin1') : value)), body]
      expect(scheme.verify(newHeaders, newBody, now)).toMatchObject({ ok: false })
    }),
    { numRuns: 11_000 },
  )
  expect(tried).toBeGreaterThan(10_000)
})
