import fc from 'fast-check'
import { expect, inject, test } from 'vitest'
import { basic, bearer } from '../../actors/webhook/signatures/credentials.ts'
import { github, shopify, slack, stripe } from '../../actors/webhook/signatures/hmac.ts'
import { standardWebhooks, svix } from '../../actors/webhook/signatures/standardWebhooks.ts'
import type { SignatureScheme } from '../../actors/webhook/signatures.ts'
import type { Collector } from '../../inspector/collector.ts'
import { createCommander } from '../../inspector/commands.ts'
import { decodeEvent } from '../../machines/cloudevents.ts'
import { ControllerError } from '../../machines/errors.ts'
import { formatDuration, parseDuration } from '../../src/config/duration.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ControllerDefinition } from '../../src/define.ts'

/** Every parser of ours, fed with whatever comes to mind: some seconds each in `npm test`, a minute in the faults run. */
const forMs = inject('faultTier') === 'P' ? 2_500 : 60_000
const inTime = { numRuns: 100_000_000, interruptAfterTimeLimit: forMs, markInterruptAsFailure: false }
const timeout = forMs + 30_000

/** Runs a property until the time is up; gives how often. */
const fuzzed = async <Given>(arbitrary: fc.Arbitrary<Given>, holds: (given: Given) => void | Promise<void>) => {
  let runs = 0
  const property = fc.asyncProperty(arbitrary, async (given) => {
    runs += 1
    await holds(given)
  })
  await fc.assert(property, inTime)
  expect(runs).toBeGreaterThan(50)
}

const secret = 'a-secret-of-at-least-twenty-four-bytes'
const schemes: readonly SignatureScheme[] = [
  standardWebhooks(`whsec_${Buffer.from(secret).toString('base64')}`),
  svix(`whsec_${Buffer.from(secret).toString('base64')}`),
  github(secret),
  stripe(secret),
  slack(secret),
  shopify(secret),
  bearer(secret),
  basic(secret, { user: 'user' }),
]

const headerName = fc.constantFrom(
  ...['webhook-id', 'webhook-timestamp', 'webhook-signature', 'svix-id', 'svix-timestamp', 'svix-signature'],
  ...['x-hub-signature-256', 'stripe-signature', 'x-slack-signature', 'x-slack-request-timestamp'],
  ...['x-shopify-hmac-sha256', 'authorization', 'Authorization'],
)
const almost = fc
  .tuple(
    fc.constantFrom('', 'v1,', 'v1a,', 'v0=', 'sha256=', 't=1700000000,v1=', 't=', 'Bearer ', 'Basic ', 'v1, v1,'),
    fc.oneof(
      fc.base64String(),
      fc.stringMatching(/^[0-9a-f]{0,64}$/),
      fc.string({ unit: 'binary' }),
      fc.nat().map(String),
    ),
  )
  .map(([prefix, rest]) => prefix + rest)

test('signatures: no headers that anybody makes up are accepted, and none ends in an error', { timeout }, async () => {
  const headers = fc.array(fc.tuple(headerName, fc.oneof(almost, fc.constant('1700000000'))), { maxLength: 8 })
  await fuzzed(fc.tuple(headers, fc.uint8Array()), ([pairs, body]) => {
    for (const scheme of schemes) {
      expect(scheme.verify(pairs.flat(), Buffer.from(body), 1_700_000_000)).toMatchObject({ ok: false })
    }
  })
})

const json = fc.oneof(
  fc.json({ maxDepth: 6 }),
  fc.json().map((text) => `{"__proto__":${text},"a":${text}}`),
)
const bytes = fc.oneof(
  fc.uint8Array(),
  json.map((text) => Buffer.from(text)),
  fc.tuple(json, fc.nat()).map(([text, at]) => Buffer.from(text).subarray(0, at % (text.length + 1))),
  fc.nat({ max: 200 }).map((depth) => Buffer.from('['.repeat(depth) + ']'.repeat(depth))),
  fc
    .record(
      {
        specversion: fc.constantFrom('1.0', '2'),
        id: fc.anything(),
        source: fc.anything(),
        type: fc.anything(),
        data: fc.json(),
        data_base64: fc.anything(),
      },
      { requiredKeys: [] },
    )
    .map((event) =>
      Buffer.from(JSON.stringify(event, (_, value) => (typeof value === 'bigint' ? String(value) : value)) ?? ''),
    ),
)
const contentType = fc.constantFrom(
  ...['application/json', 'application/cloudevents+json', 'application/cloudevents-batch+json', 'text/plain'],
  ...['application/x+json; charset=utf-8', '', undefined],
)

test('CloudEvents: whatever came is an event with its attributes, or one with a defect', { timeout }, async () => {
  const names = fc.constantFrom(
    'id',
    'source',
    'type',
    'specversion',
    'time',
    'subject',
    'datacontenttype',
    'x',
    '__proto__',
  )
  const attributes = fc.dictionary(names, fc.string({ unit: 'binary' }))
  await fuzzed(fc.tuple(bytes, contentType, attributes), ([body, type, given]) => {
    const fallback = { id: 'fallback', identified: false, type: 'fallback' }
    const transported = {
      kind: 'queue.event',
      via: 'test',
      contentType: type,
      body,
      attributes: given,
      fallback,
    } as const
    const { event, defect } = decodeEvent(transported)
    expect([typeof event.id, typeof event.source, typeof event.type]).toEqual(['string', 'string', 'string'])
    if (defect === undefined) expect(harmless(event.data, 0)).toBe(true)
    else expect(defect.error).toBeInstanceOf(ControllerError)
    expect(Object.prototype).not.toHaveProperty('a')
  })
})

/** No key that changes what an object is, and no deeper than is allowed. */
const harmless = (data: unknown, depth: number): boolean => {
  if (typeof data !== 'object' || data === null || data instanceof Uint8Array) return true
  if (depth > 64 || Object.hasOwn(data, '__proto__')) return false
  return Object.values(data).every((value) => harmless(value, depth + 1))
}

test('durations: a text is a whole number of milliseconds up to a year, or refused', { timeout }, async () => {
  const near = fc.stringMatching(/^[-+ ]?[0-9.e]{0,20}[ ]?(ms|s|m|h|d|w|S)?$/)
  await fuzzed(fc.oneof(near, fc.string({ unit: 'binary' })), (text) => {
    try {
      const ms = parseDuration(text)
      expect(Number.isInteger(ms) && ms >= 0 && ms <= 366 * 86_400_000).toBe(true)
      expect(parseDuration(formatDuration(ms))).toBe(ms)
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'CONFIG_INVALID' })
    }
  })
})

test('configuration: whatever is exported is taken or refused with CONFIG_INVALID, and no secret is shown', {
  timeout,
}, async () => {
  const canary = 'canary-a1b2c3d4e5f6'
  const value = fc.oneof(fc.anything({ maxDepth: 2 }), fc.constantFrom('5s', 1, true, 'orders', [], {}))
  const option = fc.constantFrom(
    'queue',
    'url',
    'credit',
    'topics',
    'groupId',
    'path',
    'type',
    'table',
    'signature',
    'interval',
  )
  const source = fc.record({
    driver: fc.oneof(fc.constantFrom('rabbitmq', 'kafka', 'tableQueue', 'poll', 'webhook'), value),
    kind: fc.constantFrom('queue', 'database', 'webhook'),
    options: fc.oneof(fc.dictionary(option, value), value),
  })
  const handler = fc.oneof(value, fc.record({ type: value, options: value, handle: fc.constant(() => undefined) }))
  const definition = fc.oneof(
    value,
    fc.record(
      {
        sources: fc.oneof(fc.dictionary(fc.string(), source), value),
        handlers: fc.oneof(fc.array(handler), value),
        concurrency: value,
        shutdownTimeout: value,
        journal: value,
      },
      { requiredKeys: ['sources', 'handlers'] },
    ),
  )
  const variable = fc.constantFrom(
    'DATABASE_URL',
    'AMQP_URL',
    'KAFKA_BROKERS',
    'PORT',
    'LOG_LEVEL',
    'KOKSMAT_ADMIN_TOKEN',
    'KOKSMAT_DRAIN',
  )
  const variables = fc.dictionary(
    variable,
    fc.oneof(fc.string(), fc.constantFrom(`postgres://u:${canary}@h/d`, canary, `ftp://${canary}@h`)),
  )
  await fuzzed(fc.tuple(definition, variables), ([given, environment]) => {
    try {
      resolveConfig(given as ControllerDefinition, environment, { folder: import.meta.dirname, terminal: false })
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'CONFIG_INVALID' })
      const shown = String((thrown as Error).message)
      if (
        !['KAFKA_BROKERS', 'PORT', 'LOG_LEVEL', 'KOKSMAT_DRAIN'].some((name) => environment[name]?.includes(canary))
      ) {
        expect(shown).not.toContain(canary)
      }
    }
  })
})

test('frames of the inspector: each is answered or dropped, and none ends in an error', { timeout }, async () => {
  const errors: unknown[] = []
  const commander = createCommander({
    collector: { find: () => undefined } as unknown as Collector,
    host: undefined,
    serialize: () => null,
    flight: () => ({}),
    audit: () => undefined,
    onError: (thrown) => errors.push(thrown),
  })
  const visitor = { role: 'operate', who: {} as never, watch: () => undefined } as const
  const frame = fc.record(
    {
      type: fc.oneof(
        fc.constantFrom('watch', 'snapshot', 'send', 'control', 'parked', 'parkedEvent', 'flight'),
        fc.anything(),
      ),
      id: fc.oneof(fc.string(), fc.anything()),
      sessionId: fc.anything(),
      event: fc.anything(),
      command: fc.anything(),
      filter: fc.anything(),
      seq: fc.anything(),
      watch: fc.anything(),
    },
    { requiredKeys: ['type'] },
  )
  const written = frame.map((value) =>
    JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)),
  )
  await fuzzed(fc.oneof(fc.string({ unit: 'binary' }), fc.json(), written), async (text) => {
    const ack = await commander.receive(text, visitor)
    if (ack !== undefined) expect(typeof ack.id).toBe('string')
    expect(errors).toEqual([])
  })
})
