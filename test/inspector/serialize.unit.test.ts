import { describe, expect, it } from 'vitest'
import { createActor, createMachine } from 'xstate'
import { createRedaction, type RedactionOptions } from '../../inspector/redaction.ts'
import { createSerializer, type Limits } from '../../inspector/serialize.ts'

const shown = (value: unknown, redaction: RedactionOptions = {}, limits?: Limits) =>
  createSerializer(createRedaction(redaction))(value, limits)

const small: Limits = { depth: 3, keys: 2, chars: 4, size: 1_000 }

describe('values that JSON has no word for are tagged', () => {
  const map = new Map<unknown, unknown>([
    ['a', 1],
    [{ b: 2 }, 3],
  ])
  const cases: readonly (readonly [string, unknown, unknown])[] = [
    ['undefined', undefined, { $: 'undefined' }],
    ['a bigint', 12n, { $: 'bigint', value: '12' }],
    ['NaN', Number.NaN, { $: 'number', value: 'NaN' }],
    ['infinity', -Infinity, { $: 'number', value: '-Infinity' }],
    ['a symbol', Symbol('s'), { $: 'symbol', value: 'Symbol(s)' }],
    ['a function', function walk() {}, { $: 'function', name: 'walk' }],
    ['a date', new Date(0), { $: 'date', value: '1970-01-01T00:00:00.000Z' }],
    ['a date that is none', new Date(Number.NaN), { $: 'date', value: 'invalid' }],
    ['a pattern', /a+/g, { $: 'regexp', value: '/a+/g' }],
    [
      'a map',
      map,
      {
        $: 'map',
        size: 2,
        value: [
          ['a', 1],
          [{ b: 2 }, 3],
        ],
      },
    ],
    ['a set', new Set([1, 'b']), { $: 'set', size: 2, value: [1, 'b'] }],
    ['bytes', new Uint8Array(3), { $: 'bytes', size: 3, of: 'Uint8Array' }],
    [
      'an instance',
      new (class Point {
        x = 1
      })(),
      { $: 'instance', name: 'Point', value: { x: 1 } },
    ],
    ['a promise', Promise.resolve(1), { $: 'instance', name: 'Promise', value: {} }],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    ['an object with a tag of its own', { $: 'error' }, { $: 'object', value: { $: 'error' } }],
  ]
  it.each(cases)('%s', (_, value, expected) => {
    expect(shown(value)).toEqual(expected)
  })

  it('an error, with code, cause and what else it carries', () => {
    const error = Object.assign(new Error('broke', { cause: new TypeError('why') }), { code: 'E1', attempt: 2 })
    expect(shown(error)).toMatchObject({
      $: 'error',
      name: 'Error',
      message: 'broke',
      code: 'E1',
      attempt: 2,
      stack: expect.anything(),
      cause: { $: 'error', name: 'TypeError', message: 'why' },
    })
  })

  it('a reference to an actor, and the snapshot of a machine without the machine', () => {
    const actor = createActor(createMachine({ initial: 'a', context: { n: 1 }, states: { a: {} } }), { id: 'it' })
    expect(shown({ actor })).toEqual({ actor: { $: 'actor', sessionId: actor.sessionId, id: 'it' } })
    expect(shown(actor.getSnapshot())).toMatchObject({
      $: 'instance',
      name: 'Snapshot',
      value: { value: 'a', context: { n: 1 } },
    })
  })
})

describe('nothing that a value does gets out', () => {
  it('a cycle is named by where it began', () => {
    const parent: Record<string, unknown> = { name: 'p' }
    parent['children'] = [{ parent }]
    expect(shown({ parent })).toEqual({
      parent: { name: 'p', children: [{ parent: { $: 'circular', path: 'parent' } }] },
    })
  })

  it('the same object twice is no cycle', () => {
    const same = { a: 1 }
    expect(shown([same, same])).toEqual([{ a: 1 }, { a: 1 }])
  })

  it('a getter, a proxy, a toJSON and a toString that throw', () => {
    const thrower = (): never => {
      throw new Error('no')
    }
    const value = {
      get thrower() {
        return thrower()
      },
      proxy: new Proxy({}, { ownKeys: thrower, getPrototypeOf: thrower }),
      json: { toJSON: thrower, a: 1 },
      worse: {
        get deep() {
          throw { toString: thrower }
        },
      },
    }
    expect(shown(value)).toMatchObject({
      thrower: { $: 'threw', message: 'no' },
      proxy: { $: 'threw', message: 'no' },
      json: { a: 1 },
      worse: { deep: { $: 'threw' } },
    })
  })

  it('a depth of 50,000', () => {
    let deep: unknown = {}
    for (let i = 0; i < 50_000; i++) deep = { deep }
    const text = JSON.stringify(shown(deep))
    expect(text).toContain('"by":"depth"')
    expect(text.length).toBeLessThan(200)
  })

  it('a key that would become a prototype stays a key', () => {
    const value = JSON.parse('{"__proto__":{"polluted":true}}')
    expect(JSON.stringify(shown(value))).toBe('{"__proto__":{"polluted":true}}')
  })
})

describe('everything is bounded, and says what was left out', () => {
  it('depth, keys, elements and characters', () => {
    expect(shown({ a: { b: { c: {} } } }, {}, small)).toEqual({
      a: { b: { c: { $: 'truncated', by: 'depth', more: 1 } } },
    })
    expect(shown({ a: 1, b: 2, c: 3 }, {}, small)).toEqual({
      $: 'truncated',
      by: 'keys',
      more: 1,
      value: { a: 1, b: 2 },
    })
    expect(shown([1, 2, 3], {}, small)).toEqual({ $: 'truncated', by: 'keys', more: 1, value: [1, 2] })
    expect(shown('abcdef', {}, small)).toEqual({ $: 'truncated', by: 'length', more: 2, value: 'abcd' })
  })

  it('the whole, however it is spread', () => {
    const wide = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, 'x'.repeat(2_000)]))
    const wider = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, wide]))
    const text = JSON.stringify(shown(wider))
    expect(text.length).toBeLessThan(80_000)
    expect(text).toContain('"by":"size"')
  })
})

describe('secrets are not shown', () => {
  it('by name, in objects and in maps, whatever stands there', () => {
    const value = { password: { deep: 'x' }, apiKey: 1, nested: { accessToken: 'x' }, map: new Map([['cookie', 'x']]) }
    expect(shown(value)).toEqual({
      password: { $: 'redacted' },
      apiKey: { $: 'redacted' },
      nested: { accessToken: { $: 'redacted' } },
      map: { $: 'map', size: 1, value: [['cookie', { $: 'redacted' }]] },
    })
  })

  it('a getter under a secret name is not even asked', () => {
    let asked = false
    const value = {
      get token() {
        asked = true
        return 'x'
      },
    }
    shown(value)
    expect(asked).toBe(false)
  })

  it.each([
    ['card.number', { card: { number: 1, brand: 2 } }, { card: { number: { $: 'redacted' }, brand: 2 } }],
    [
      'items.card',
      { items: [{ card: 1 }, { card: 2 }] },
      { items: [{ card: { $: 'redacted' } }, { card: { $: 'redacted' } }] },
    ],
    ['*.card', { a: { card: 1 }, card: 2 }, { a: { card: { $: 'redacted' } }, card: 2 }],
    ['**.card', { a: { b: { card: 1 } }, card: 2 }, { a: { b: { card: { $: 'redacted' } } }, card: { $: 'redacted' } }],
    ['data', { data: { a: 1 }, database: 1 }, { data: { $: 'redacted' }, database: 1 }],
  ])('by path: %s', (path, value, expected) => {
    expect(shown(value, { paths: [path] })).toEqual(expected)
  })

  it('by what an object is', () => {
    const secretPathsOf = (object: object) => ('type' in object && object.type === 'order' ? ['data.card'] : undefined)
    const value = { delivery: { event: { type: 'order', data: { card: 1, total: 2 } } }, other: { data: { card: 1 } } }
    expect(shown(value, { secretPathsOf })).toEqual({
      delivery: { event: { type: 'order', data: { card: { $: 'redacted' }, total: 2 } } },
      other: { data: { card: 1 } },
    })
  })

  it('credentials of a URL within a text, also where the text is cut', () => {
    expect(shown('see amqp://user:pass@host/v')).toBe('see amqp://[redacted]@host/v')
    const cut = JSON.stringify(shown(`${'x'.repeat(2_040)} amqp://user:pass@host/v`))
    expect(cut).not.toContain('user')
  })
})
