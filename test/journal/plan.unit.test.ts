import { describe, expect, test } from 'vitest'
import type { Ending } from '../../machines/journal.ts'
import { planOf, standsAlone } from '../../src/journal/plan.ts'
import { attemptOf, eventOf } from './journals.ts'

const row = (seq: string) => ({ seq, lease: '1', attempts: 0 })
const done = (id: string, over: object = {}): Ending => ({ as: 'done', event: eventOf(id), ...over })
const failed = (id: string, over: object = {}): Ending => ({
  as: 'retry',
  event: eventOf(id),
  queue: 'journal',
  attempts: 1,
  history: [attemptOf(1)],
  dueInMs: 0,
  ...over,
})

describe('a settlement runs without a transaction when it is one statement that may run twice', () => {
  const cases: [string, boolean, Ending[]][] = [
    ['rows that are done', true, [done('1', { row: row('1') }), done('2', { row: row('2') })]],
    [
      'rows with one dedup window',
      true,
      [done('1', { row: row('1'), keepMs: 5 }), done('2', { row: row('2'), keepMs: 5 })],
    ],
    [
      'rows with several dedup windows',
      false,
      [done('1', { row: row('1'), keepMs: 5 }), done('2', { row: row('2'), keepMs: 6 })],
    ],
    ['dedup marks without rows', true, [done('1', { keepMs: 5 })]],
    ['nothing to write', true, [done('1')]],
    ['an emitted event', false, [done('1', { row: row('1'), emits: [{ event: eventOf('e') }] })]],
    ['a counter', false, [done('1', { counters: { orders: 1 } })]],
    ['retries of rows', true, [failed('1', { row: row('1') })]],
    ['retries of events that have no row yet', false, [failed('1')]],
    ['rows that are done and rows to retry', false, [done('1', { row: row('1') }), failed('2', { row: row('2') })]],
    ['released rows', true, [{ as: 'release', event: eventOf('1'), row: row('1') }]],
    ['a begun run that is over', false, [done('1', { row: row('1'), begun: true })]],
  ]
  test.each(cases)('%s: %s', (_name, alone, endings) => {
    expect(standsAlone(planOf(endings))).toBe(alone)
  })
})

test('of two events with one identity only the first is marked or parked', () => {
  const plan = planOf([done('1', { keepMs: 5 }), done('1', { keepMs: 5 }), failed('2'), failed('2')])
  expect(plan.marks).toHaveLength(1)
  expect(plan.failedEvents).toHaveLength(1)
})
