import { expect, test } from 'vitest'
import { ControllerError } from '../../machines/errors.ts'
import type { SourceState } from '../../machines/protocol.ts'
import { createSourceLog } from '../../src/runtime/sourceLog.ts'

const listening = () => {
  const lines: unknown[] = []
  let now = 0
  const say =
    (level: string) =>
    ({ source: _, ...fields }: { source?: string }, message: string) => {
      if (level !== 'debug') lines.push([level, message, fields])
    }
  const log = createSourceLog(
    { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    () => now,
  )
  const moves = (...states: SourceState[]): void => {
    for (const state of states) log({ type: 'source.moved', source: 'orders', state })
  }
  const fails = (reason: string): void => {
    now += 1_000
    const error = new ControllerError('SOURCE_CONNECT_FAILED', reason)
    log({ type: 'source.moved', source: 'orders', state: 'backingOff', error })
    moves('connecting')
  }
  return { lines, moves, fails }
}

test('a source that is away for long is two lines of the log: that it backs off and that it is back', () => {
  const { lines, moves, fails } = listening()
  moves('connecting', 'waiting', 'listening')
  lines.length = 0
  for (let tries = 0; tries < 1_000; tries++) fails('refused')
  moves('listening')
  expect(lines).toEqual([
    ['warn', 'source backs off', { state: 'backingOff', code: 'SOURCE_CONNECT_FAILED', reason: 'refused' }],
    ['info', 'source is back', { state: 'listening', tries: 1_000, downMs: 999_000 }],
  ])
})

test('that credit is used up and comes back is no news; that nothing is settled is', () => {
  const { lines, moves } = listening()
  moves('connecting', 'waiting', 'listening', 'throttled', 'listening', 'throttled', 'stalled')
  expect(lines).toEqual([
    ['info', 'source moved', { state: 'connecting' }],
    ['info', 'source moved', { state: 'waiting' }],
    ['info', 'source moved', { state: 'listening' }],
    ['warn', 'source moved', { state: 'stalled' }],
  ])
})

test('a drain of a source that is away says no more than that it drains', () => {
  const { lines, moves, fails } = listening()
  moves('connecting')
  fails('refused')
  lines.length = 0
  moves('draining', 'disconnecting', 'closed')
  expect(lines).toEqual([
    ['info', 'source moved', { state: 'draining' }],
    ['info', 'source moved', { state: 'disconnecting' }],
    ['info', 'source moved', { state: 'closed' }],
  ])
})
