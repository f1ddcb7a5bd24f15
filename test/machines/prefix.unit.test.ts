import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPrefix } from '../../machines/prefix.ts'

const cases: readonly { name: string; added: number[]; settled: number[]; moves: (number | undefined)[] }[] = [
  { name: 'in order', added: [1, 2, 3], settled: [1, 2, 3], moves: [1, 2, 3] },
  { name: 'backwards', added: [1, 2, 3], settled: [3, 2, 1], moves: [undefined, undefined, 3] },
  { name: 'a gap in the middle', added: [1, 2, 3, 4], settled: [1, 3, 4, 2], moves: [1, undefined, undefined, 4] },
  { name: 'holes in the stream', added: [5, 6, 7, 9, 10], settled: [10, 5, 6, 7, 9], moves: [undefined, 5, 6, 8, 10] },
  { name: 'from zero', added: [0, 1], settled: [0, 1], moves: [0, 1] },
  { name: 'a position twice', added: [1, 2], settled: [1, 1, 2, 2], moves: [1, undefined, 2, undefined] },
  { name: 'a position never added', added: [1, 2], settled: [7, 0, 1], moves: [undefined, undefined, 1] },
]

describe('the prefix', () => {
  test.each(cases)('moves only over what is settled without a gap: $name', ({ added, settled, moves }) => {
    const prefix = createPrefix()
    for (const position of added) prefix.add(position)
    expect(settled.map((position) => prefix.settle(position))).toEqual(moves)
  })

  test('goes on after everything was settled', () => {
    const prefix = createPrefix()
    prefix.add(1)
    expect(prefix.settle(1)).toBe(1)
    prefix.add(4)
    prefix.add(5)
    expect(prefix.settle(5)).toBeUndefined()
    expect(prefix.settle(4)).toBe(5)
    expect(prefix.open).toBe(0)
  })

  test('never covers an open position, never goes back, and covers everything at the end', () => {
    const step = fc.record({ take: fc.boolean(), hole: fc.nat(3), pick: fc.nat() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const prefix = createPrefix()
        const open: number[] = []
        let newest = -1
        let top = -1
        const settle = (index: number): void => {
          const [position = -1] = open.splice(index, 1)
          const moved = prefix.settle(position)
          expect(moved ?? top + 1).toBeGreaterThan(top)
          top = moved ?? top
          expect(top).toBeLessThan(Math.min(...open))
          expect(prefix.open).toBe(open.length)
        }
        for (const { take, hole, pick } of steps) {
          if (take) {
            newest += 1 + hole
            open.push(newest)
            prefix.add(newest)
          } else if (open.length > 0) settle(pick % open.length)
        }
        while (open.length > 0) settle(0)
        expect(top).toBe(newest)
      }),
    )
  })
})
