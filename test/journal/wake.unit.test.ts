import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createWakes } from '../../src/journal/wake.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

test('rows that are due wake at once, and only the listeners of their queue', () => {
  const wakes = createWakes()
  const orders = vi.fn()
  const others = vi.fn()
  wakes.on('orders', orders)
  wakes.on('others', others)
  wakes.in('orders', 0)
  expect(orders).toHaveBeenCalledTimes(1)
  expect(others).not.toHaveBeenCalled()
})

test('rows with a delay wake when the earliest of them falls due', () => {
  const wakes = createWakes()
  const wake = vi.fn()
  wakes.on('orders', wake)
  wakes.in('orders', 500)
  wakes.in('orders', 200)
  wakes.in('orders', 900)
  vi.advanceTimersByTime(199)
  expect(wake).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(wake).toHaveBeenCalledTimes(1)
})

test('what falls due beyond the horizon is left to polling', () => {
  const wakes = createWakes()
  wakes.on('orders', vi.fn())
  wakes.in('orders', 3_600_000)
  expect(vi.getTimerCount()).toBe(0)
})

test('after the undo nobody is woken and no timer stays', () => {
  const wakes = createWakes()
  const wake = vi.fn()
  const undo = wakes.on('orders', wake)
  wakes.in('orders', 100)
  undo()
  wakes.in('orders', 0)
  expect(vi.getTimerCount()).toBe(0)
  expect(wake).not.toHaveBeenCalled()
})
