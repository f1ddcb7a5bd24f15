import { expect, test } from 'vitest'
import { createDeadlines } from '../../src/jobs/deadlines.ts'
import { runPlain } from '../../src/jobs/plain.ts'
import type { JobsParts, Task } from '../../src/jobs/task.ts'
import { eventOf } from '../journal/journals.ts'

const clock = { now: () => 0, setTimeout: () => undefined, clearTimeout: () => undefined }

/** A run whose ending is on record when the test says so. */
const running = (begun: boolean) => {
  const record = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const parts = {
    deadlines: createDeadlines(clock),
    end: () => {
      ended.resolve()
      return record.promise
    },
  } as unknown as JobsParts
  const event = eventOf('1')
  const handler = { handle: () => undefined, retry: { inPlace: 0, attempts: 1 } }
  const task = { event, handler, begun, delivery: { event, redelivered: false } } as unknown as Task
  const over = Promise.withResolvers<void>()
  let isOver = false
  runPlain(parts, task, () => {
    isOver = true
    over.resolve()
  })
  return { record, ended: ended.promise, over: over.promise, isOver: () => isOver }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('the slot of a handler is free while its settlement is written', async () => {
  const run = running(false)
  expect(run.isOver()).toBe(false)
  await run.over
  run.record.resolve()
})

test('the slot of what may have killed a process is free when its end is on record, and not before', async () => {
  const run = running(true)
  await run.ended
  await turn()
  expect(run.isOver()).toBe(false)
  run.record.resolve()
  await run.over
})
