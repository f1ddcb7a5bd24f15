import { expect, test } from 'vitest'
import { createMachine } from 'xstate'
import { controllerMachine } from '../../machines/controller.ts'
import { sourceMachine } from '../../machines/source.ts'
import { describeMachine, type GraphState, toMermaid } from '../../src/graph.ts'

const door = createMachine({
  id: 'door',
  initial: 'closed',
  states: {
    closed: { on: { push: { target: 'open', guard: 'isUnlocked' }, pull: 'open' } },
    open: {
      tags: ['ready'],
      initial: 'ajar',
      states: { ajar: { after: { 500: 'wide' } }, wide: { always: { target: 'ajar', guard: 'isWindy' } } },
      on: { shut: 'closed', burn: 'gone', knock: {} },
    },
    gone: { type: 'final' },
  },
})

test('a diagram holds every state and every transition of the machine, and marks what is active', () => {
  expect(toMermaid([describeMachine('source:door', door, { open: 'ajar' })])).toBe(`stateDiagram-v2
  classDef active fill:#1f6feb,color:#fff,stroke:#1f6feb
  state "source:door" as source_door {
    state "closed" as source_door_closed
    state "open" as source_door_open {
      state "ajar" as source_door_open_ajar
      state "wide" as source_door_open_wide
      [*] --> source_door_open_ajar
      source_door_open_ajar --> source_door_open_wide: after 500
      source_door_open_wide --> source_door_open_ajar: [isWindy]
    }
    state "gone" as source_door_gone
    [*] --> source_door_closed
    source_door_closed --> source_door_open: push [isUnlocked] | pull
    source_door_open --> source_door_closed: shut
    source_door_open --> source_door_gone: burn
    source_door_gone --> [*]
  }
  class source_door_open active
  class source_door_open_ajar active
`)
})

test('a description is plain data: it comes back from JSON as it was', () => {
  const described = describeMachine('controller', controllerMachine, 'running')
  expect(JSON.parse(JSON.stringify(described))).toEqual(described)
  expect(described).toMatchObject({ actor: 'controller', active: ['running'] })
})

const arrowless = (state: GraphState): readonly string[] => [
  ...(state.transitions.some(({ targets }) => targets.some((target) => target === '')) ? [state.name] : []),
  ...state.states.flatMap(arrowless),
]

test.each([['controller', controllerMachine] as const, ['source:orders', sourceMachine] as const])(
  'every arrow in the diagram of %s ends at a state that is drawn',
  (actor, machine) => {
    const graph = describeMachine(actor, machine)
    const text = toMermaid([graph])
    const drawn = new Set([...text.matchAll(/state ".*" as (\w+)/g)].map(([, id]) => id))
    const ends = [...text.matchAll(/--> (\w+)/g)].map(([, id]) => id)
    expect(ends.length).toBeGreaterThan(5)
    expect(ends.filter((id) => !drawn.has(id))).toEqual([])
    expect(arrowless(graph.root)).toEqual([])
  },
)
