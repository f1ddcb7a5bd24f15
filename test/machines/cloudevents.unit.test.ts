import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeEvent, parseJson, type Transported } from '../../machines/cloudevents.ts'

const carried = (body: string | Uint8Array, given: Partial<Transported> = {}): Transported => ({
  kind: 'queue.event',
  via: 'orders',
  contentType: undefined,
  body: Buffer.from(body),
  attributes: {},
  fallback: { id: '7', identified: true, type: 'order.placed' },
  ...given,
})

describe('a plain payload', () => {
  test('gets its attributes from the source that brought it', () => {
    expect(decodeEvent(carried('{"no":1}'))).toEqual({
      event: {
        id: '7',
        source: 'koksmat:orders',
        type: 'order.placed',
        data: { no: 1 },
        kind: 'queue.event',
        via: 'orders',
        identified: true,
      },
      json: '{"no":1}',
    })
  })

  test('may tell its type from its data', () => {
    const type = (data: unknown) => `no.${(data as { no: number }).no}`
    const { event } = decodeEvent(carried('{"no":1}', { fallback: { id: '7', identified: false, type } }))
    expect([event.type, event.identified]).toEqual(['no.1', false])
  })

  test('that is JSON keeps its text to the byte', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (json) => {
        fc.pre(!json.includes('__proto__'))
        const decoded = decodeEvent(carried(json))
        expect(decoded).toMatchObject({ json })
        expect(decoded.event.data).toEqual(JSON.parse(json))
      }),
    )
  })

  test.each([
    ['text/plain', 'hällo', 'hällo', '"hällo"'],
    ['application/problem+json; charset=utf-8', '[1]', [1], '[1]'],
    ['APPLICATION/JSON', '1', 1, '1'],
  ])('of %s is read as that', (contentType, body, data, json) => {
    const decoded = decodeEvent(carried(body, { contentType }))
    expect([decoded.event.data, decoded.json, decoded.defect]).toEqual([data, json, undefined])
  })

  test('of any other type stays bytes', () => {
    const decoded = decodeEvent(carried(Uint8Array.of(0, 255), { contentType: 'image/png' }))
    expect(decoded.event).toMatchObject({ data: Buffer.of(0, 255), datacontenttype: 'image/png' })
    expect([decoded.json, decoded.defect]).toEqual([undefined, undefined])
  })
})

describe('a CloudEvent', () => {
  test('in binary mode keeps its attributes, and the rest become extensions', () => {
    const attributes = {
      specversion: '1.0',
      id: 'a',
      source: '/shop',
      type: 'paid',
      subject: 's',
      time: '2026-01-02T03:04:05Z',
      partitionkey: 'k',
      tenant: 'x',
    }
    const { event } = decodeEvent(
      carried('{}', { attributes, fallback: { id: '7', identified: false, type: 'other' } }),
    )
    expect(event).toEqual({
      id: 'a',
      source: '/shop',
      type: 'paid',
      subject: 's',
      time: '2026-01-02T03:04:05Z',
      partitionkey: 'k',
      extensions: { tenant: 'x' },
      data: {},
      kind: 'queue.event',
      via: 'orders',
      identified: true,
    })
  })

  test('in structured mode brings attributes and data in one document', () => {
    const document = { specversion: '1.0', id: 'a', source: '/shop', type: 'paid', tenant: 'x', data: { no: 1 } }
    const contentType = 'application/cloudevents+json; charset=utf-8'
    const decoded = decodeEvent(carried(JSON.stringify(document), { contentType }))
    expect(decoded).toMatchObject({
      event: { id: 'a', source: '/shop', type: 'paid', data: { no: 1 }, extensions: { tenant: 'x' } },
      json: '{"no":1}',
    })
  })

  test('in structured mode may bring bytes', () => {
    const document = JSON.stringify({ id: 'a', source: '/', type: 'paid', data_base64: 'AP8=' })
    const decoded = decodeEvent(carried(document, { contentType: 'application/cloudevents+json' }))
    expect([decoded.event.data, decoded.json]).toEqual([Buffer.of(0, 255), undefined])
  })
})

describe('what cannot be read is a defect with its bytes, never a throw', () => {
  const structured = { contentType: 'application/cloudevents+json' }
  const refusing: Partial<Transported> = {
    fallback: {
      id: '7',
      identified: true,
      type: () => {
        throw new Error('no type in it')
      },
    },
  }
  test.each<[string, string | Uint8Array, Partial<Transported>]>([
    ['not JSON', '{"no":', {}],
    ['nothing at all', '', {}],
    ['not UTF-8', Uint8Array.of(34, 255, 34), {}],
    ['text that is not UTF-8', Uint8Array.of(255), { contentType: 'text/plain' }],
    ['nested too deep', `${'['.repeat(65)}${']'.repeat(65)}`, {}],
    ['a name that would change prototypes', '{"a":{"__proto__":1}}', {}],
    ['the same in disguise', '{"\\u005f_proto__":1}', {}],
    ['a batch', '[]', { contentType: 'application/cloudevents-batch+json' }],
    ['a structured CloudEvent that is no object', '[]', structured],
    ['a structured CloudEvent that is null', 'null', structured],
    ['a payload whose type cannot be told', '{}', refusing],
  ])('%s', (_, body, given) => {
    const { event, defect } = decodeEvent(carried(body, given))
    expect(defect?.error.code).toBe('EVENT_MALFORMED')
    expect(defect?.raw).toEqual(Buffer.from(body))
    expect([event.id, event.via, event.data]).toEqual(['7', 'orders', undefined])
  })

  test('any bytes', () => {
    const contentType = fc.constantFrom(undefined, 'application/json', 'text/plain', 'application/cloudevents+json')
    fc.assert(
      fc.property(fc.uint8Array(), contentType, (body, type) => {
        const { event } = decodeEvent(carried(body, { contentType: type }))
        expect(typeof event.id).toBe('string')
      }),
    )
  })
})

test('64 levels are read, 65 are not, however they are made', () => {
  const nested = (levels: number, open: string, close: string): string =>
    `${open.repeat(levels)}1${close.repeat(levels)}`
  expect(() => parseJson(nested(64, '[', ']'))).not.toThrow()
  expect(() => parseJson(nested(65, '[', ']'))).toThrow('deeper than 64')
  expect(() => parseJson(nested(65, '{"a":', '}'))).toThrow('deeper than 64')
  expect(() => parseJson(JSON.stringify(Array.from({ length: 500 }, () => ({}))))).not.toThrow()
})
