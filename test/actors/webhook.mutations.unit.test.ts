import fc from 'fast-check'
import { expect, test } from 'vitest'
import { github, slack, stripe } from '../../actors/webhook/signatures/hmac.ts'
import { standardWebhooks } from '../../actors/webhook/signatures/standardWebhooks.ts'
import type { SignatureScheme } from '../../actors/webhook/signatures.ts'
import {
  type Good,
  goodRequests,
  mutatedRequest,
  mutation,
  publicKey,
  secret,
  standardSecret,
} from './webhook.mutations.ts'

const now = 1_700_000_000
const body = Buffer.from('{"order":7,"amount":"12.50","customer":"customer-1"}')
const schemes: Readonly<Record<Good['name'], SignatureScheme>> = {
  'standardWebhooks v1': standardWebhooks(standardSecret()),
  'standardWebhooks v1a': standardWebhooks(publicKey),
  github: github(secret),
  stripe: stripe(secret),
  slack: slack(secret),
}

test.each(goodRequests(body, now, 'msg_p5jXN8AQM9LWM0D4loKWxJek'))(
  '$name: of 20,000 mutations of a good request none is accepted',
  ({ name, headers }) => {
    const scheme = schemes[name]
    expect(scheme.verify(headers, body, now)).toMatchObject({ ok: true })
    let tried = 0
    fc.assert(
      fc.property(mutation, (change) => {
        const other = mutatedRequest(headers, body, change)
        if (other === undefined) return
        tried += 1
        expect(scheme.verify(other.headers, other.body, now)).toMatchObject({ ok: false })
      }),
      { numRuns: 22_000 },
    )
    expect(tried).toBeGreaterThan(20_000)
  },
)
