import { afterEach, beforeEach, expect, it } from 'vitest'
import { listenForSignals, type Signals } from '../../src/signals.ts'

let at: number
let told: string[]
let exited: number | undefined
let signals: Signals

beforeEach(() => {
  at = 0
  told = []
  exited = undefined
  const write = (_: object, message: string): void => void told.push(message)
  const log = {
    debug: write,
    info: write,
    warn: write,
    error: write,
    fatal: write,
    child: () => log,
    flush: () => undefined,
  }
  const controller = {
    drain: (why: string) => told.push(`drain ${why}`),
    abort: (why: string) => told.push(`abort ${why}`),
  }
  signals = listenForSignals(controller, log, () => at)
  void signals.forced.then((code) => {
    exited = code
  })
})
afterEach(() => signals.stop())

const signal = async (name: NodeJS.Signals, ms: number): Promise<void> => {
  at = ms
  process.emit(name, name)
  await Promise.resolve()
}

it('drains at the first signal, ignores the one that npm passes on, aborts at a later one, and then exits with 3', async () => {
  await signal('SIGTERM', 0)
  await signal('SIGINT', 10)
  await signal('SIGINT', 4_999)
  expect(told).toEqual(['drain SIGTERM'])
  await signal('SIGTERM', 5_000)
  expect(told).toEqual(['drain SIGTERM', 'abort SIGTERM'])
  expect(exited).toBeUndefined()
  await signal('SIGINT', 5_001)
  expect(exited).toBe(3)
})

it('takes an uncaught error as the end, with code 1 and a fatal line', async () => {
  process.emit('unhandledRejection', new Error('nobody caught it'), Promise.resolve())
  await Promise.resolve()
  expect(told).toEqual(['uncaught error'])
  expect(exited).toBe(1)
})

it('leaves no listener behind', () => {
  const before = process.listenerCount('SIGTERM')
  signals.stop()
  expect(process.listenerCount('SIGTERM')).toBe(before - 1)
})
