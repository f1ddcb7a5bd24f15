import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fifo } from '../../machines/fifo.ts'

test('what is pushed first is taken first, whatever else was pushed, taken and thrown out meanwhile', () => {
  const steps = fc.array(fc.oneof(fc.nat(3_000), fc.constantFrom('take', 'keep'), fc.nat(3_000).map(String)))
  fc.assert(
    fc.property(steps, (all) => {
      const fifo = new Fifo<number>()
      let model: number[] = []
      let next = 0
      for (const step of all) {
        if (typeof step === 'number') {
          for (const each of Array.from({ length: step }, () => next++)) {
            fifo.push(each)
            model.push(each)
          }
        } else if (step === 'keep') {
          fifo.keep((each) => each % 3 > 0)
          model = model.filter((each) => each % 3 > 0)
        } else {
          const count = step === 'take' ? 1 : Number(step)
          const expected = model.splice(0, count)
          for (let i = 0; i < count; i++) expect(fifo.take()).toBe(expected[i])
        }
        expect(fifo.size).toBe(model.length)
        expect(fifo.first()).toBe(model[0])
      }
      expect(fifo.all()).toEqual(model)
    }),
    { numRuns: 30 },
  )
})
