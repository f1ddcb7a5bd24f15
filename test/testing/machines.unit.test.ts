import { expect, test } from 'vitest'
import { assign, createMachine, fromPromise, setup } from 'xstate'
import { checkMachine, type Finding, walkMachine } from '../../src/testing.ts'

const only = (findings: readonly Finding[], kind: Finding['kind']) =>
  findings.filter((finding) => finding.kind === kind).map(({ state, event }) => (event ? [state, event] : [state]))

const order = setup({
  types: { context: {} as { paid: number }, events: {} as { type: 'pay' } | { type: 'cancel' } },
  actors: { ship: fromPromise(async () => 'shipped') },
}).createMachine({
  context: { paid: 0 },
  initial: 'open',
  states: {
    open: { on: { pay: { target: 'shipping', actions: assign({ paid: 1 }) }, cancel: 'cancelled' } },
    shipping: {
      invoke: { id: 'ship', src: 'ship', onDone: 'shipped', onError: 'open' },
      on: { pay: {}, cancel: 'cancelled' },
      after: { 60000: 'open' },
    },
    shipped: { type: 'final' },
    cancelled: { type: 'final' },
  },
})
const events = [{ type: 'pay' }, { type: 'cancel' }] as const

test('a machine that thought of everything has no findings', () => {
  expect(checkMachine(order, { events, stop: { type: 'cancel' }, idempotent: true })).toEqual([])
})

test('each state is found with a shortest trace, by events, timers and the answers of invoked actors', () => {
  const { states, unreached } = walkMachine(order, { events })
  expect(unreached).toEqual([])
  const shipped = states.find(({ path }) => path === 'shipped')
  expect(shipped?.trace.map(({ type }) => type)).toEqual(['pay', 'xstate.done.actor.ship'])
  const shipping = states.find(({ path }) => path === 'shipping')
  expect(new Set(shipping?.steps.map(({ by }) => by))).toEqual(new Set(['sender', 'timer', 'actor']))
})

test('an event that no state answers is found, also when only a guard refuses it', () => {
  const machine = createMachine({
    initial: 'a',
    states: { a: { on: { go: 'b', maybe: { guard: () => false, target: 'b' } } }, b: { on: { end: 'c' } }, c: {} },
  })
  const findings = checkMachine(machine, { events: [{ type: 'go' }, { type: 'maybe' }], isEnd: () => true })
  expect(only(findings, 'unanswered')).toEqual([
    ['a', 'maybe'],
    ['b', 'go'],
    ['b', 'maybe'],
  ])
  expect(only(findings, 'unreached')).toEqual([['c']])
})

test('a state from which no way leads to an end is found', () => {
  const machine = createMachine({
    initial: 'a',
    states: { a: { on: { end: 'over', wait: 'trap' } }, trap: { on: { end: {}, wait: {} } }, over: { type: 'final' } },
  })
  const findings = checkMachine(machine, { events: [{ type: 'end' }, { type: 'wait' }] })
  expect(findings).toEqual([
    { kind: 'stuck', state: 'trap', message: 'No way leads from here to an end.', trace: ['wait'] },
  ])
})

test('a machine that waits for an actor after the stop is found', () => {
  const machine = setup({ actors: { undo: fromPromise(async () => undefined) } }).createMachine({
    initial: 'on',
    states: {
      on: { on: { stop: 'undoing' } },
      undoing: { invoke: { id: 'undo', src: 'undo', onDone: 'off', onError: 'off' }, on: { stop: {} } },
      off: { type: 'final' },
    },
  })
  const stop = { type: 'stop' }
  expect(only(checkMachine(machine, { events: [stop], stop }), 'stop')).toEqual([
    ['on', 'stop'],
    ['undoing', 'stop'],
  ])
})

test('an actor whose failure nobody answers is found', () => {
  const machine = setup({ actors: { fetch: fromPromise(async () => 1) } }).createMachine({
    initial: 'a',
    states: { a: { invoke: { id: 'fetch', src: 'fetch', onDone: 'b' } }, b: { type: 'final' } },
  })
  expect(checkMachine(machine, { events: [] })).toContainEqual({
    kind: 'failed',
    state: 'a',
    message: 'The machine has failed: fetch failed.',
    trace: ['xstate.error.actor.fetch'],
  })
  expect(checkMachine(machine, { events: [], answers: { fetch: [{ output: 1 }] } })).toEqual([])
})

test.each([
  ['a Date', new Date(0), 'a Date becomes 1970-01-01T00:00:00.000Z'],
  ['a Map', new Map([[1, 2]]), 'a Map becomes a Object'],
  ['a function', () => 1, 'a function becomes undefined'],
  ['a BigInt', 1n, 'Do not know how to serialize a BigInt'],
])('a context with %s does not survive a crash', (_, value, said) => {
  const machine = createMachine({
    context: { kept: 'text', gone: undefined, value: value as unknown },
    initial: 'a',
    states: { a: { on: { end: 'b' } }, b: { type: 'final' } },
  })
  const [finding] = checkMachine(machine, { events: [{ type: 'end' }], keyOf: ({ value }) => JSON.stringify(value) })
  expect(finding).toMatchObject({ kind: 'crash', state: 'a', message: expect.stringContaining(said) })
})

test('an event whose second delivery counts twice is found where it must not', () => {
  const machine = createMachine({
    context: { paid: 0 },
    on: {
      pay: { guard: ({ context }) => context.paid < 3, actions: assign({ paid: ({ context }) => context.paid + 1 }) },
    },
    initial: 'a',
    states: { a: { on: { end: 'b' } }, b: { type: 'final' } },
  })
  const events = [{ type: 'pay' }, { type: 'end' }]
  expect(only(checkMachine(machine, { events }), 'duplicate')).toEqual([])
  const found = only(checkMachine(machine, { events, idempotent: ['pay'] }), 'duplicate')
  expect(found).toContainEqual(['a', 'pay'])
})

test('what an actor answers after it was left behind must not move the machine', () => {
  const machine = setup({ actors: { quote: fromPromise(async () => 7) } }).createMachine({
    initial: 'asking',
    on: { 'xstate.done.actor.quote': '.quoted' },
    states: {
      asking: { invoke: { id: 'quote', src: 'quote', onError: 'over' }, on: { give_up: 'waiting' } },
      waiting: { on: { give_up: 'over' } },
      quoted: { on: { give_up: 'over' } },
      over: { type: 'final' },
    },
  })
  const findings = checkMachine(machine, { events: [{ type: 'give_up' }] })
  expect(only(findings, 'lateReply')).toEqual([['waiting', 'xstate.done.actor.quote']])
})

test('a context without end is refused instead of walked for ever', () => {
  const machine = createMachine({
    context: { n: 0 },
    on: { add: { actions: assign({ n: ({ context }) => context.n + 1 }) } },
  })
  expect(() => walkMachine(machine, { events: [{ type: 'add' }], maxStates: 50 })).toThrow('More than 50 states')
})
