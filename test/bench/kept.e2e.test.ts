import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import { startProcess } from '../support/processDriver.ts'

const child = join(import.meta.dirname, 'kept.child.ts')

/** Megabytes in use after each minor collection of the second run, in this process; senders have their own. */
const afterEach = (output: string, pid: number): readonly number[] => {
  const [, second = ''] = /begin second\n([\s\S]*)end second/.exec(output) ?? []
  const collected = new RegExp(`^\\[${pid}:.* Scavenge .*? -> ([\\d.]+) `, 'gm')
  return [...second.matchAll(collected)].map(([, megabytes]) => Number(megabytes))
}

const bytesOfAnEvent = async (workload: string, events: number): Promise<number> => {
  const env = { DATABASE_URL: inject('databaseUrl') }
  await using process = startProcess(['--trace-gc', child, workload, String(events)], { env })
  expect(await process.exit, process.output()).toMatchObject({ code: 0 })
  const after = afterEach(process.output(), process.pid)
  expect(after.length).toBeGreaterThan(3)
  const kept = after.slice(1).map((megabytes, index) => Math.max(0, megabytes - (after[index] ?? 0)))
  return (kept.reduce((sum, megabytes) => sum + megabytes, 0) * 2 ** 20) / events
}

test('what belonged to an event does not outlive the next minor collections', async () => {
  expect(await bytesOfAnEvent('control', 300_000)).toBeLessThan(50)
})

test('webhooks that come without a pause leave nothing behind', async () => {
  expect(await bytesOfAnEvent('webhook', 15_000)).toBeLessThan(200)
})
