import { expect, test } from 'vitest'
import { createMachine } from 'xstate'
import { matrixOf } from '../../machines/matrix.ts'

test('the innermost answer counts, an empty one is one, and a guard alone is none', () => {
  const machine = createMachine({
    initial: 'a',
    on: { empty: {}, deep: { actions: 'act' }, fallback: { actions: 'act' } },
    states: {
      a: {
        initial: 'b',
        on: { deep: {}, guarded: { guard: 'may', target: 'end' }, closed: [{ guard: 'may', target: 'end' }, {}] },
        states: { b: { on: { go: '#end', fallback: { guard: 'may' } } } },
      },
      end: { id: 'end', type: 'final' },
    },
  })
  const events = ['empty', 'deep', 'fallback', 'guarded', 'closed', 'go', 'never']
  const answers = ['ignored', 'ignored', 'handled', 'blank', 'handled', 'handled', 'blank']
  const expected = events.map((event, index) => ({ state: 'a.b', event, answer: answers[index] }))
  expect(matrixOf(machine, events)).toEqual(expected)
})
