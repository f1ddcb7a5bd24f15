import { expect, test } from 'vitest'
import { grouped } from '../../src/journal/group.ts'

/** A flush whose groups end when the test says so. */
const heldFlush = () => {
  const groups: { items: readonly number[]; end: () => void; fail: (error: Error) => void }[] = []
  const flush = (items: readonly number[]): Promise<readonly string[]> =>
    new Promise((resolve, reject) => {
      groups.push({ items, end: () => resolve(items.map((item) => `r${item}`)), fail: reject })
    })
  return { groups, flush }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a lone item goes at once', async () => {
  const { groups, flush } = heldFlush()
  const { add } = grouped(flush, { maxSize: 10 })
  const result = add(1)
  await turn()
  expect(groups.map(({ items }) => items)).toEqual([[1]])
  groups[0]?.end()
  expect(await result).toBe('r1')
})

test('a group forms while the one before it is under way, and each item gets its own result', async () => {
  const { groups, flush } = heldFlush()
  const { add } = grouped(flush, { maxSize: 10 })
  const first = add(1)
  await turn()
  const others = [add(2), add(3), add(4)]
  await turn()
  expect(groups).toHaveLength(1)
  groups[0]?.end()
  await turn()
  expect(groups[1]?.items).toEqual([2, 3, 4])
  groups[1]?.end()
  expect(await Promise.all([first, ...others])).toEqual(['r1', 'r2', 'r3', 'r4'])
})

test('the next group goes before the results of this one are told', async () => {
  const { groups, flush } = heldFlush()
  const asked = async (items: readonly number[]) => {
    await new Promise((resolve) => process.nextTick(resolve))
    return flush(items)
  }
  const { add } = grouped(asked, { maxSize: 10 })
  const atResult = add(1).then(() => groups.length)
  await turn()
  const second = add(2)
  groups[0]?.end()
  expect(await atResult).toBe(2)
  groups[1]?.end()
  expect(await second).toBe('r2')
})

test('where results come first, callers have done what they do with them when the next group begins', async () => {
  const { groups, flush } = heldFlush()
  const { add } = grouped(flush, { maxSize: 10, first: 'results' })
  const atResult = add(1)
    .then(async () => undefined)
    .then(async () => groups.length)
  await turn()
  const second = add(2)
  groups[0]?.end()
  expect(await atResult).toBe(1)
  await turn()
  groups[1]?.end()
  expect(await second).toBe('r2')
})

test('results are told in the order of the groups, however fast the next one is', async () => {
  const told: number[] = []
  const { add } = grouped(async (items: readonly number[]) => items, { maxSize: 1 })
  await Promise.all([1, 2, 3].map(async (item) => told.push(await add(item))))
  expect(told).toEqual([1, 2, 3])
})

test('no group is larger than maxSize', async () => {
  const sizes: number[] = []
  const flush = async (items: readonly number[]) => {
    sizes.push(items.length)
    return items
  }
  const { add } = grouped(flush, { maxSize: 3 })
  await Promise.all([1, 2, 3, 4, 5, 6, 7].map(add))
  expect(sizes).toEqual([3, 3, 1])
})

test('no group is heavier than maxWeight, but for a single item that is', async () => {
  const groups: (readonly number[])[] = []
  const flush = async (items: readonly number[]) => {
    groups.push(items)
    return items
  }
  const { add } = grouped(flush, { maxSize: 100, maxWeight: 10, weightOf: (item) => item })
  await Promise.all([4, 6, 1, 30, 2, 3].map(add))
  expect(groups).toEqual([[4, 6], [1], [30], [2, 3]])
})

test('a group that fails rejects its own items only', async () => {
  const { groups, flush } = heldFlush()
  const { add } = grouped(flush, { maxSize: 10 })
  const first = add(1)
  await turn()
  const second = add(2)
  groups[0]?.fail(new Error('no'))
  await expect(first).rejects.toThrow('no')
  await turn()
  groups[1]?.end()
  expect(await second).toBe('r2')
})

test.each(['next group', 'results'] as const)(
  'whoever hears the last result may add at once (first: %s)',
  async (first) => {
    const { add } = grouped(async (items: readonly number[]) => items, { maxSize: 10, first })
    expect(await add(1).then(() => add(2).then(() => add(3)))).toBe(3)
  },
)

test('idle resolves when nothing is under way or waiting', async () => {
  const { groups, flush } = heldFlush()
  const { add, idle } = grouped(flush, { maxSize: 1 })
  await idle()
  const results = [add(1), add(2)]
  await turn()
  let isIdle = false
  const waited = idle().then(() => {
    isIdle = true
  })
  groups[0]?.end()
  await turn()
  expect(isIdle).toBe(false)
  groups[1]?.end()
  await Promise.all([waited, ...results])
})

test('onIdle is called each time when no group is under way or waiting any more', async () => {
  const { groups, flush } = heldFlush()
  let calls = 0
  const onIdle = (): void => {
    calls += 1
  }
  const { add, isUnderWay } = grouped(flush, { maxSize: 1, onIdle })
  const results = [add(1), add(2)]
  await turn()
  groups[0]?.end()
  await turn()
  expect({ calls, isUnderWay: isUnderWay() }).toEqual({ calls: 0, isUnderWay: true })
  groups[1]?.end()
  await Promise.all(results)
  expect({ calls, isUnderWay: isUnderWay() }).toEqual({ calls: 1, isUnderWay: false })
  const third = add(3)
  await turn()
  groups[2]?.end()
  await third
  expect(calls).toBe(2)
})
