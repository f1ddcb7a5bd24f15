import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { distance, nearest, pathText } from '../../src/config/problems.ts'
import { isSecretName, oneLine, redact, withoutCredentials } from '../../src/config/redact.ts'

test.each([
  ['amqp://user:pass@host:5672/vhost', 'amqp://[redacted]@host:5672/vhost'],
  ['connect to postgres://u:p@ss/w@db/x failed', 'connect to postgres://[redacted]@db/x failed'],
  ['https://token@host/', 'https://[redacted]@host/'],
  [
    'postgres://db/x?user=u&password=geheim&sslmode=require',
    'postgres://db/x?user=u&password=[redacted]&sslmode=require',
  ],
  ['user:pass@host:9092', '[redacted]@host:9092'],
  ['nothing to hide on port 5432', 'nothing to hide on port 5432'],
])('credentials leave a text: %s', (text, shown) => expect(withoutCredentials(text)).toBe(shown))

test('no user and no password of any URL is shown', () => {
  const word = fc.stringMatching(/^[a-z0-9!*'();:$,%-]{4,20}$/)
  fc.assert(
    fc.property(word, word, (user, password) => {
      const shown = withoutCredentials(`could not reach amqp://q${user}:q${password}@broker:5672/v`)
      expect(shown).toBe('could not reach amqp://[redacted]@broker:5672/v')
    }),
  )
})

test.each([
  'secret',
  'clientSecret',
  'password',
  'PGPASSWORD',
  'passwd',
  'token',
  'accessToken',
  'api_key',
  'apiKey',
  'Authorization',
  'set-cookie',
  'privateKey',
  'signature',
])('%s is the name of a secret', (name) => expect(isSecretName(name)).toBe(true))

test.each(['queue', 'key', 'path', 'user', 'type', 'keyword', 'author'])('%s is not the name of a secret', (name) =>
  expect(isSecretName(name)).toBe(false),
)

describe('a text on one line', () => {
  test.each([
    ['a\r\nb', 'a b'],
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b]0;title\u0007x', 'x'],
    ['a\u2028b\u0085c', 'a b c'],
    ['tab\there', 'tab here'],
  ])('%j becomes %j', (text, line) => expect(oneLine(text)).toBe(line))

  test('never holds a control character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
        expect(oneLine(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
      }),
    )
  })
})

test('a value is shown short, and not at all under the name of a secret', () => {
  expect(redact('x'.repeat(200))).toHaveLength(82)
  expect(redact('hunter2', ['sources', 'a', 'sasl', 'password'])).toBe('[redacted]')
  expect(redact({ password: 'hunter2' })).toBe('an object')
  expect(redact(['hunter2'])).toBe('a list of 1')
  expect(redact(undefined)).toBe('nothing')
  expect(redact(0)).toBe('0')
})

test('a path reads as one would write it', () => {
  expect(pathText(['sources', 'orders', 'topics', 0])).toBe('sources.orders.topics[0]')
  expect(pathText(['sources', 'my orders', 'x'])).toBe('sources["my orders"].x')
  expect(pathText([])).toBe('definition')
})

test('the name that was meant is found when it is near', () => {
  const options = ['credit', 'creditBytes', 'queue', 'url']
  expect(nearest('cerdit', options)).toBe('credit')
  expect(nearest('Queue', options)).toBe('queue')
  expect(nearest('ulr', options)).toBe('url')
  expect(nearest('whatever', options)).toBeUndefined()
  expect(distance('abcd', 'abdc')).toBe(1)
})

test('a distance is 0 for the same, the same both ways, and at most the longer length', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (from, to) => {
      expect(distance(from, from)).toBe(0)
      expect(distance(from, to)).toBe(distance(to, from))
      expect(distance(from, to)).toBeLessThanOrEqual(Math.max(from.length, to.length))
    }),
  )
})
