import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startProcess } from '../support/processDriver.ts'

const child = join(import.meta.dirname, 'kept.child.ts')
const events = 300_000

/** Megabytes in use after each minor collection of the second run. */
const afterEach = (output: string): readonly number[] => {
  const [, second = ''] = /begin second\n([\s\S]*)end second/.exec(output) ?? []
  return [...second.matchAll(/ Scavenge .*? -> ([\d.]+) /g)].map(([, megabytes]) => Number(megabytes))
}

test('what belonged to an event does not outlive the next minor collections', async () => {
  await using process = startProcess(['--trace-gc', child, String(events)])
  expect(await process.exit, process.output()).toMatchObject({ code: 0 })
  const after = afterEach(process.output())
  expect(after.length).toBeGreaterThan(3)
  const kept = after.slice(1).map((megabytes, index) => Math.max(0, megabytes - (after[index] ?? 0)))
  const bytesOfAnEvent = (kept.reduce((sum, megabytes) => sum + megabytes, 0) * 2 ** 20) / events
  expect(bytesOfAnEvent).toBeLessThan(50)
})
