import { createHmac, generateKeyPairSync, sign as signEd25519 } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { basic, bearer, unsigned } from '../../actors/webhook/signatures/credentials.ts'
import { github, hmac, shopify, slack, stripe } from '../../actors/webhook/signatures/hmac.ts'
import { standardWebhooks, svix } from '../../actors/webhook/signatures/standardWebhooks.ts'
import type { SignatureScheme } from '../../actors/webhook/signatures.ts'
import { ControllerError } from '../../machines/errors.ts'

const now = 1_700_000_000
const body = Buffer.from('{"id":"evt_1"}')
const old = 'the secret of yesterday, still live'
const young = 'the secret of tomorrow, already live'
const foreign = 'a secret that nobody here has heard of'
const whsec = (text: string): string => `whsec_${Buffer.from(text).toString('base64')}`
const digest = (secret: string, signed: string, encoding: 'hex' | 'base64' = 'hex'): string =>
  createHmac('sha256', secret).update(signed).update(body).digest(encoding)

const keys = generateKeyPairSync('ed25519')
const spki = keys.publicKey.export({ format: 'der', type: 'spki' })
const whpk = `whpk_${spki.subarray(-32).toString('base64')}`
const ed25519Of = (id: string, at: number): string =>
  `v1a,${signEd25519(null, Buffer.concat([Buffer.from(`${id}.${at}.`), body]), keys.privateKey).toString('base64')}`

interface Kind {
  readonly make: (secrets: readonly string[]) => SignatureScheme
  /** The headers of a good request, signed with the secret at that time. */
  readonly good: (secret: string, at: number) => string[]
  readonly timed: boolean
  readonly id?: string
}

const message = (prefix: string) => (secret: string, at: number) => [
  `${prefix}-id`,
  'msg_1',
  `${prefix}-timestamp`,
  String(at),
  `${prefix}-signature`,
  `v1,${digest(secret, `msg_1.${at}.`, 'base64')}`,
]

const kinds: Record<string, Kind> = {
  standardWebhooks: {
    make: (secrets) => standardWebhooks(secrets.map(whsec)),
    good: message('webhook'),
    timed: true,
    id: 'msg_1',
  },
  svix: { make: (secrets) => svix(secrets.map(whsec)), good: message('svix'), timed: true, id: 'msg_1' },
  github: {
    make: github,
    good: (secret) => ['X-GitHub-Delivery', 'guid-1', 'X-Hub-Signature-256', `sha256=${digest(secret, '')}`],
    timed: false,
    id: 'guid-1',
  },
  stripe: {
    make: stripe,
    good: (secret, at) => ['Stripe-Signature', `t=${at},v1=${digest(secret, `${at}.`)},v0=00`],
    timed: true,
  },
  slack: {
    make: slack,
    good: (secret, at) => [
      'X-Slack-Request-Timestamp',
      String(at),
      'X-Slack-Signature',
      `v0=${digest(secret, `v0:${at}:`)}`,
    ],
    timed: true,
  },
  shopify: {
    make: shopify,
    good: (secret) => ['X-Shopify-Hmac-Sha256', digest(secret, '', 'base64'), 'X-Shopify-Webhook-Id', 'guid-2'],
    timed: false,
    id: 'guid-2',
  },
  hmac: {
    make: (secrets) => hmac(secrets, { header: 'X-Sig', encoding: 'base64', prefix: 'mac ' }),
    good: (secret) => ['X-Sig', `mac ${digest(secret, '', 'base64')}`],
    timed: false,
  },
  bearer: {
    make: (secrets) => bearer(secrets.map((secret) => secret.replaceAll(/\W/g, '-'))),
    good: (secret) => ['Authorization', `Bearer ${secret.replaceAll(/\W/g, '-')}`],
    timed: false,
  },
  basic: {
    make: (secrets) => basic(secrets, { user: 'sender' }),
    good: (secret) => ['Authorization', `Basic ${Buffer.from(`sender:${secret}`).toString('base64')}`],
    timed: false,
  },
}

describe('what a scheme signs', () => {
  test.each(Object.entries(kinds))('%s: it accepts itself, for the very body and id', (_name, { make, timed, id }) => {
    const scheme = make([old, young])
    const headers = Object.entries(scheme.sign?.(body, 'e-1', now) ?? {}).flat()
    const verdict = scheme.verify(headers, body, now)
    expect(verdict).toEqual(id === undefined ? { ok: true } : { ok: true, id: 'e-1' })
    expect(make([young]).verify(headers, body, now)).toEqual({ ok: false, reason: 'forged' })
    expect(scheme.verify(headers, body, now + 301).ok).toBe(!timed)
  })

  test('an ed25519 signature is left to the sender, who alone has the private key', () => {
    expect(standardWebhooks(whpk).sign).toBeUndefined()
    expect(standardWebhooks([whpk, whsec(old)]).sign).toBeDefined()
  })
})

describe('published vectors', () => {
  test('Standard Webhooks: the vector of its specification is accepted, and gives the message id', () => {
    const scheme = standardWebhooks('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
    const headers = ['webhook-id', 'msg_p5jXN8AQM9LWM0D4loKWxJek', 'webhook-timestamp', '1614265330']
    const signature = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    const payload = Buffer.from('{"test": 2432232314}')
    expect(scheme.verify([...headers, 'webhook-signature', signature], payload, 1_614_265_330)).toEqual({
      ok: true,
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    })
  })

  test('GitHub: the vector of its documentation is accepted', () => {
    const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    const scheme = github("It's a Secret to Everybody")
    expect(scheme.verify(['X-Hub-Signature-256', signature], Buffer.from('Hello, World!'), now)).toEqual({ ok: true })
  })

  test('Slack: the vector of its documentation is accepted', () => {
    const payload =
      'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&' +
      'channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&' +
      'response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&' +
      'trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
    const signature = 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503'
    const headers = ['X-Slack-Request-Timestamp', '1531420618', 'X-Slack-Signature', signature]
    const verdict = slack('8f742231b10e8888abcd99yyyzzz85a5').verify(headers, Buffer.from(payload), 1_531_420_618)
    expect(verdict).toEqual({ ok: true })
  })
})

describe.each(Object.entries(kinds))('%s', (_name, { make, good, id }) => {
  const scheme = make([old, young])
  const accepted = id === undefined ? { ok: true } : { ok: true, id }

  test('accepts each of several live secrets, and no other', () => {
    expect(scheme.verify(good(old, now), body, now)).toEqual(accepted)
    expect(scheme.verify(good(young, now), body, now)).toEqual(accepted)
    expect(scheme.verify(good(foreign, now), body, now)).toEqual({ ok: false, reason: 'forged' })
    expect(make([young]).verify(good(old, now), body, now)).toEqual({ ok: false, reason: 'forged' })
  })

  test('refuses a request without its headers, with an empty one, and with one that came twice', () => {
    const headers = good(old, now)
    expect(scheme.verify([], body, now)).toEqual({ ok: false, reason: 'missing' })
    const emptied = headers.map((value, i) => (i % 2 === 0 ? value : ''))
    expect(scheme.verify(emptied, body, now)).toMatchObject({ ok: false })
    expect(scheme.verify([...headers, ...headers], body, now)).toEqual({ ok: false, reason: 'malformed' })
  })

  test('cannot be made without a secret or with one of less than 24 bytes, and does not repeat it', () => {
    for (const secrets of [[], ['too-short-a-secret'], [old, 'too-short-a-secret']]) {
      let thrown: unknown
      try {
        make(secrets)
      } catch (error) {
        thrown = error
      }
      expect(thrown).toBeInstanceOf(ControllerError)
      expect(thrown).toMatchObject({ code: 'CONFIG_INVALID' })
      expect(String(thrown)).not.toContain('too-short')
    }
  })
})

test.each(Object.entries(kinds).filter(([, { timed }]) => timed))(
  '%s refuses what is more than 300 s old or ahead',
  (_name, { make, good }) => {
    const scheme = make([old])
    for (const off of [-300, 300]) expect(scheme.verify(good(old, now + off), body, now)).toMatchObject({ ok: true })
    for (const off of [-301, 301]) {
      expect(scheme.verify(good(old, now + off), body, now)).toEqual({ ok: false, reason: 'stale' })
    }
  },
)

describe('Standard Webhooks', () => {
  const signed = (signature: string, at = now) => [
    'webhook-id',
    'm1',
    'webhook-timestamp',
    `${at}`,
    'webhook-signature',
    signature,
  ]

  test('accepts ed25519 signatures of a public key, beside HMAC ones', () => {
    const scheme = standardWebhooks([whsec(old), whpk])
    const good = ed25519Of('m1', now)
    const other = `v1,${digest(foreign, `m1.${now}.`, 'base64')}`
    expect(scheme.verify(signed(good), body, now)).toEqual({ ok: true, id: 'm1' })
    expect(scheme.verify(signed(`${other} ${good}`), body, now)).toEqual({ ok: true, id: 'm1' })
    expect(scheme.verify(signed(ed25519Of('m2', now)), body, now)).toEqual({ ok: false, reason: 'forged' })
    expect(scheme.verify(signed(good.replace('v1a', 'v1')), body, now)).toEqual({ ok: false, reason: 'forged' })
    expect(standardWebhooks(whsec(old)).verify(signed(good), body, now)).toEqual({ ok: false, reason: 'forged' })
  })

  test('refuses a private key, a public key of the wrong length, and what is not base64', () => {
    for (const secret of [`whsk_${'A'.repeat(88)}`, `whpk_${'A'.repeat(40)}`, 'whsec_***not base64***', 'whpk_']) {
      expect(() => standardWebhooks(secret)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    }
  })

  test('takes at most 16 signatures, each in its exact grammar', () => {
    const scheme = standardWebhooks(whsec(old))
    const good = `v1,${digest(old, `m1.${now}.`, 'base64')}`
    const reasonOf = (list: string) => scheme.verify(signed(list), body, now)
    expect(reasonOf(Array.from({ length: 16 }, () => good).join(' '))).toMatchObject({ ok: true })
    for (const list of [
      Array.from({ length: 17 }, () => good).join(' '),
      `${good}  ${good}`,
      `${good},x`,
      ` ${good}`,
    ]) {
      expect(reasonOf(list)).toEqual({ ok: false, reason: 'malformed' })
    }
  })
})

test('a payload tells the id where Stripe and Slack put it', () => {
  expect(stripe(old).idIn?.({ id: 'evt_1' })).toBe('evt_1')
  expect(slack(old).idIn?.({ event_id: 'Ev1' })).toBe('Ev1')
  for (const data of [null, [], {}, 'text', { id: 1 }]) expect(stripe(old).idIn?.(data)).toBeUndefined()
})

test('a delivery id that is not one is refused, although the signature is good', () => {
  const headers = ['X-Hub-Signature-256', `sha256=${digest(old, '')}`, 'X-GitHub-Delivery', 'not an id']
  expect(github(old).verify(headers, body, now)).toEqual({ ok: false, reason: 'malformed' })
})

test('an HMAC takes the algorithms that are still good', () => {
  for (const algorithm of ['sha256', 'sha384', 'sha512'] as const) {
    const signature = createHmac(algorithm, old).update(body).digest('hex')
    expect(hmac(old, { header: 'x-sig', algorithm }).verify(['X-Sig', signature], body, now)).toEqual({ ok: true })
  }
})

test('unsigned takes everything', () => {
  expect(unsigned().verify([], body, now)).toEqual({ ok: true })
})

test('a user name with a colon is refused', () => {
  expect(() => basic(old, { user: 'a:b' })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
})
