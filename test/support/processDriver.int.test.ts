import { expect, test } from 'vitest'
import { startProcess } from './processDriver.ts'

test('a process says something, is asked to end, and its exit code is known', async () => {
  await using driven = startProcess([
    '-e',
    `process.on('SIGTERM', () => process.exit(7)); console.log('{"up":true}'); setInterval(() => {}, 1e6)`,
  ])
  await driven.says(/"up":true/)
  expect(driven.log()).toEqual([{ up: true }])
  driven.signal('SIGTERM')
  expect(await driven.exit).toEqual({ code: 7, signal: null })
})

test('waiting for what a process will never say ends with its output when the process ends', async () => {
  await using driven = startProcess(['-e', `console.error('sorry')`])
  await expect(driven.says(/hello/)).rejects.toThrow(/ended \(0\) without saying.*\s+sorry/)
})

test('a process that ignores everything is gone after the test', async () => {
  const driven = startProcess(['-e', `process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1e6)`])
  await driven.says(/up/)
  expect(await driven.end()).toEqual({ code: null, signal: 'SIGKILL' })
})
