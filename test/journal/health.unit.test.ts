import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { JournalHealth } from '../../machines/journal.ts'
import { createHealth, type Health } from '../../src/journal/health.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  health.stop()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

const cut = Object.assign(new Error('terminating connection'), { code: '57P01' })
const told: boolean[] = []
let works = true
let health: Health
beforeEach(() => {
  told.length = 0
  works = true
  // As the journal does it: the probe is a query, so its outcome comes back through answered and failed.
  health = createHealth(
    (state: JournalHealth) => void told.push(state.up),
    async () => {
      if (works) return health.answered()
      health.failed(cut)
      throw cut
    },
  )
})
const turn = () => vi.advanceTimersByTimeAsync(0)

test('a connection that was cut while Postgres answers is not told', async () => {
  health.failed(cut)
  await turn()
  expect(told).toEqual([])
})

test('down is told once, however much fails, and up once when it answers again', async () => {
  works = false
  health.failed(cut)
  await turn()
  health.failed(cut)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(told).toEqual([false])
  works = true
  await vi.advanceTimersByTimeAsync(2_000)
  expect(told).toEqual([false, true])
})

test('what is not answered in time is down at once', () => {
  works = false
  health.failed(new Error('Query read timeout'))
  expect(told).toEqual([false])
})

test('an error of a statement says nothing about health', async () => {
  works = false
  health.failed(Object.assign(new Error('division by zero'), { code: '22012' }))
  await turn()
  expect(told).toEqual([])
})

test('after stop nothing is told', async () => {
  works = false
  health.failed(cut)
  health.stop()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(told).toEqual([])
})
