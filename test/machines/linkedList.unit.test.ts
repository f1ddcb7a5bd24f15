import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Linked, LinkedList } from '../../machines/linkedList.ts'

interface Item extends Linked<Item> {
  readonly no: number
}

const itemsOf = (count: number): readonly Item[] =>
  Array.from({ length: count }, (_, no) => ({ no, previous: undefined, next: undefined }))

test('whatever is added and taken out, in whatever order, it holds what a Set holds, in the same order', () => {
  const steps = fc.array(fc.record({ no: fc.nat({ max: 9 }), goes: fc.boolean() }), { maxLength: 100 })
  fc.assert(
    fc.property(steps, (taken) => {
      const items = itemsOf(10)
      const list = new LinkedList<Item>()
      const set = new Set<Item>()
      for (const { no, goes } of taken) {
        const item = items[no] as Item
        if (goes) expect(list.delete(item)).toBe(set.delete(item))
        else {
          list.add(item)
          set.add(item)
        }
        expect(list.has(item)).toBe(set.has(item))
      }
      expect(list.all()).toEqual([...set])
      expect(list.size).toBe(set.size)
    }),
  )
})

test('what was taken out points at nothing', () => {
  const list = new LinkedList<Item>()
  const items = itemsOf(3)
  for (const item of items) list.add(item)
  for (const item of items) list.delete(item)
  for (const { previous, next } of items) expect([previous, next]).toEqual([undefined, undefined])
})
