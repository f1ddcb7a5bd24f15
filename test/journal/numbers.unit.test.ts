import { expect, test } from 'vitest'
import type { Queryable } from '../../machines/journal.ts'
import { createNumbers } from '../../src/journal/numbers.ts'
import { namesOf } from '../../src/journal/schema.ts'
import { until } from '../support/until.ts'

/** A sequence that gives 2,000 numbers a call, and fails when it is told to. */
const sequence = () => {
  const told = { calls: 0, fails: false }
  let last = 0
  const query = async () => {
    told.calls++
    if (told.fails) throw new Error('gone')
    const numbers = Array.from({ length: 2_000 }, () => `${++last}`).join(',')
    return { rows: [{ numbers }], rowCount: 1 }
  }
  return { told, numbers: createNumbers({ query } as Queryable, namesOf('koksmat')) }
}

test('each number is drawn once and in order, also more of them than a block has', async () => {
  const { numbers } = sequence()
  const drawn = [...(await numbers.draw(3)), ...(await numbers.draw(4_500)), ...(await numbers.draw(1))]
  expect(drawn).toEqual(Array.from({ length: 4_504 }, (_, index) => `${index + 1}`))
})

test('the next block is there before the last is used up', async () => {
  const { told, numbers } = sequence()
  await numbers.draw(1_001)
  await until(() => told.calls === 2)
  told.fails = true
  expect(await numbers.draw(2_900)).toHaveLength(2_900)
})

test('a block that could not be drawn ahead fails nobody who needs none of it, and is drawn when it is needed', async () => {
  const { told, numbers } = sequence()
  await numbers.draw(1)
  told.fails = true
  await numbers.draw(1_500)
  await until(() => told.calls === 2)
  expect(await numbers.draw(100)).toHaveLength(100)
  await expect(numbers.draw(1_000)).rejects.toThrow('gone')
  told.fails = false
  expect(await numbers.draw(1_000)).toHaveLength(1_000)
})
