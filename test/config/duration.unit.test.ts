import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, parseDuration } from '../../src/config/duration.ts'

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const unit = fc.constantFrom('ms', 's', 'm', 'h', 'd')

test.each([
  ['0s', 0],
  ['500ms', 500],
  ['5s', 5_000],
  ['1.5s', 1_500],
  ['10m', 600_000],
  ['24h', 86_400_000],
  ['7d', 604_800_000],
  ['366d', 31_622_400_000],
])('%s is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms))

test.each([
  '',
  '5',
  's',
  '5 s',
  '-5s',
  '+5s',
  '5S',
  '5sec',
  '1e3s',
  '0x5s',
  '5s ',
  '٥s',
  '5s\n',
  '1.s',
  '.5s',
  'Infinitys',
  'NaNms',
])('%j is not a duration, and the message says what one is', (text) => {
  expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  expect(() => parseDuration(text)).toThrow(/is not a duration; expected .*'5s'/)
})

test('more than a year is refused', () => {
  expect(() => parseDuration('367d')).toThrow('longer than a year')
  expect(() => parseDuration('999999999999999d')).toThrow('longer than a year')
})

test('any whole number with a unit is that many of it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 366 }), unit, (amount, name) => {
      expect(parseDuration(`${amount}${name}`)).toBe(amount * unitMs[name])
    }),
  )
})

test('a duration is always a whole number of milliseconds, and survives being written and read', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 366, noNaN: true }), unit, (amount, name) => {
      const ms = parseDuration(`${amount.toFixed(3)}${name}`)
      expect(Number.isSafeInteger(ms)).toBe(true)
      expect(parseDuration(formatDuration(ms))).toBe(ms)
    }),
  )
})

test('no other text is ever taken for a duration', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!/^\d+(\.\d+)?(ms|s|m|h|d)$/.test(text))
      expect(() => parseDuration(text)).toThrow('is not a duration')
    }),
  )
})
