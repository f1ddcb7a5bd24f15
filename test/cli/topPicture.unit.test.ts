import { expect, test } from 'vitest'
import { duration, pictureOf, ratesOf } from '../../src/cli/topPicture.ts'
import type { SourceStatus, Status } from '../../src/status.ts'

const now = Date.parse('2026-01-01T00:10:00.000Z')
const results = { done: 0, ignored: 0, duplicate: 0, retried: 0, parked: 0, moved: 0, released: 0 }
const source = (over: Partial<SourceStatus>): SourceStatus => ({
  kind: 'queue',
  driver: 'rabbitmq',
  state: 'listening',
  stateSince: '2026-01-01T00:08:58.000Z',
  accepted: 0,
  settled: 0,
  inFlight: 0,
  results,
  parked: 0,
  credit: 32,
  reconnects: 0,
  ...over,
})
const status = (over: Partial<Status>): Status => ({
  name: 'koksmat-controller',
  version: '1.0.0',
  pid: 7,
  state: 'running',
  startedAt: '2026-01-01T00:00:00.000Z',
  sources: {},
  journal: { state: 'up' },
  jobs: { running: 0, waiting: 0, list: [], long: [] },
  locks: {},
  ...over,
})
const textOf = (shown: Status, rates = {}): string =>
  pictureOf(shown, rates, now)
    .map(({ text }) => text)
    .join('\n')

test.each([
  [0, '0s'],
  [59_999, '59s'],
  [62_000, '1m 2s'],
  [3_600_000, '1h'],
  [93_780_000, '1d 2h'],
])('%d ms are %s', (ms, text) => expect(duration(ms)).toBe(text))

test('rates are differences by time; a source that is new has none', () => {
  const before = status({
    sources: { orders: source({ accepted: 100, settled: 90, results: { ...results, parked: 1 } }) },
  })
  const after = status({
    sources: {
      orders: source({ accepted: 300, settled: 190, results: { ...results, parked: 2, retried: 3 } }),
      fresh: source({ accepted: 50 }),
    },
  })
  expect(ratesOf(before, after, 2)).toEqual({
    orders: { accepted: 100, settled: 50, failed: 2 },
    fresh: { accepted: 0, settled: 0, failed: 0 },
  })
})

test('each source has its state and for how long, its rates and credit, and what ails it', () => {
  const lastError = { code: 'SOURCE_CONNECT_FAILED', message: 'connection refused' }
  const sources = { orders: source({ state: 'backingOff', inFlight: 5, parked: 2, reconnects: 9, lastError }) }
  const text = textOf(status({ sources }), { orders: { accepted: 1_234, settled: 2.25, failed: 0 } })
  expect(text).toContain('pid 7  running  up 10m  journal up')
  expect(text).toMatch(/orders +rabbitmq +backingOff +1m 2s +1,234 +2\.3 +0\.0 +5\/32 +2 +9/)
  expect(text).toContain('SOURCE_CONNECT_FAILED: connection refused')
})

test('locks, long and oldest jobs and a drain are shown where there are any', () => {
  expect(textOf(status({}))).not.toMatch(/LOCK|JOB|DRAINING/)
  const text = textOf(
    status({
      locks: {
        ledger: {
          holder: { id: 'o-1', type: 'pay', heldMs: 4_000, replica: 'r-1' },
          waiting: 2,
          longestWaitMs: 61_000,
        },
      },
      jobs: {
        running: 1,
        waiting: 1,
        long: [{ id: 'l-1', type: 'report', runningMs: 90_000, progress: { done: 7 } }],
        list: [{ source: 'orders', id: 'o-2', type: 'pay', state: 'waiting', ageMs: 61_000, lock: 'ledger' }],
      },
      drain: {
        clean: false,
        reason: 'SIGTERM',
        phase: 'finishing',
        tookMs: 1_000,
        timeLeftMs: 17_000,
        sources: { orders: { state: 'draining', inFlight: 5, settled: 1, released: 0, parked: 0 } },
        unsettled: [],
      },
    }),
  )
  expect(text).toMatch(/ledger +r-1 +pay o-1 +4s +2 +1m 1s/)
  expect(text).toMatch(/l-1 +report +1m 30s +\{"done":7\}/)
  expect(text).toMatch(/o-2 +pay +orders +waiting +1m 1s +ledger/)
  expect(text).toContain('DRAINING (SIGTERM): finishing, 17s left; in flight: orders 5 (draining)')
})
