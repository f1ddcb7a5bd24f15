import { describe, expect, test } from 'vitest'
import {
  type AnyActorRef,
  type AnyStateMachine,
  assign,
  createActor,
  createMachine,
  type EventObject,
  fromCallback,
  type InspectionEvent,
  type MachineContext,
  SimulatedClock,
  sendParent,
  sendTo,
  setup,
} from 'xstate'
import { controllerMachine } from '../../machines/controller.ts'
import type { Delivery } from '../../machines/driver.ts'
import { type EventKind, eventKinds } from '../../machines/event.ts'
import type {
  ControllerCommand,
  EventArrived,
  JobsCommand,
  JournalCommand,
  LinkCommand,
  OperatorTask,
} from '../../machines/protocol.ts'
import { passing, type Send, sendEach, type Telling } from '../../machines/sending.ts'
import { type LinkInput, sourceMachine } from '../../machines/source.ts'
import { walkMachine } from '../../src/testing/walk.ts'

const nothing = (): void => undefined
const unwatched = (): boolean => false

/** What one actor said to another, in order, and how many microsteps XState made. */
const seenOf = (
  machine: AnyStateMachine,
  input: unknown,
  events: readonly EventObject[],
  toWhom: (root: AnyActorRef) => AnyActorRef = (root) => root,
) => {
  const said: unknown[] = []
  let microsteps = 0
  const nameOf = (ref: AnyActorRef | undefined): string => (ref === undefined ? '' : ref.id)
  const inspect = (seen: InspectionEvent): void => {
    if (seen.type === '@xstate.microstep') microsteps++
    if (seen.type !== '@xstate.event') return
    said.push({
      from: nameOf(seen.sourceRef as AnyActorRef),
      to: nameOf(seen.actorRef as AnyActorRef),
      what: seen.event,
    })
  }
  const actor = createActor(machine, { id: 'root', input, clock: new SimulatedClock(), inspect })
  actor.start()
  for (const event of events.slice(0, -1)) toWhom(actor).send(event)
  const before = actor.getSnapshot()
  microsteps = 0
  toWhom(actor).send(events.at(-1) as EventObject)
  const after = actor.getSnapshot()
  const { value, context, status } = after
  const seen = { said: [...said], microsteps, same: after === before, value, context, status }
  actor.stop()
  return seen
}

const credit = { events: 4, bytes: 1_000 }
const input = {
  sources: [{ name: 'orders', kind: 'queue.event' as const, credit }],
  policy: { preStopMs: 500, drainMs: 20_000, abortMs: 5_000, closeMs: 3_000 },
}
const delivery: Delivery = {
  receipt: 1,
  event: { id: '1', source: 's', type: 't', data: {}, kind: 'queue.event', via: 'orders', identified: true },
  bytes: 1,
  redelivered: false,
}
const arrived = (type: EventKind): EventArrived => ({ type, source: 'orders', delivery })

const controller = () =>
  controllerMachine.provide({
    actors: {
      source: sourceMachine.provide({ actors: { link: fromCallback<LinkCommand, LinkInput>(nothing) } }),
      jobs: fromCallback<JobsCommand>(nothing),
      journal: fromCallback<JournalCommand>(nothing),
      operator: fromCallback<OperatorTask>(nothing),
    },
  })

const commands: readonly ControllerCommand[] = [
  { type: 'controller.drain', reason: 'SIGTERM' },
  { type: 'controller.abort', reason: 'late' },
]
const facts: readonly EventObject[] = [
  { type: 'journal.up' },
  { type: 'source.moved', source: 'orders', state: 'listening' } as EventObject,
  { type: 'xstate.done.actor.source:orders', actorId: 'source:orders', output: { counts: undefined } } as EventObject,
]

describe('an event that every state only passes on', () => {
  const silenced = controllerMachine.provide({
    actions: { spawnChildren: nothing, stopJobs: nothing, tellJobs: nothing },
  })
  const { states } = walkMachine(silenced.provide({ actions: { tellJournal: nothing, tellSource: nothing } }), {
    input,
    events: [...commands, ...facts] as never,
  })
  const active = states.filter(({ snapshot }) => snapshot.status === 'active')

  test.each(eventKinds.map((kind) => [kind]))(
    'goes the short way in every state of the controller, and all is as XState alone does it: %s',
    (kind) => {
      expect([...new Set(active.map(({ path }) => path))].toSorted()).toEqual([
        'boot',
        'draining.aborting',
        'draining.closing',
        'draining.finishing',
        'draining.lingering',
        'running',
      ])
      for (const { trace } of active) {
        const events = [arrived(kind), ...trace.flatMap((event) => [event, arrived(kind)])]
        const { microsteps, ...short } = seenOf(passing(controller(), unwatched), input, events)
        const { microsteps: whole, ...alone } = seenOf(controller(), input, events)
        expect(short).toEqual(alone)
        expect(short.same).toBe(true)
        expect({ microsteps, whole }).toEqual({ microsteps: 0, whole: 1 })
      }
    },
  )

  test('goes the whole way while somebody watches, so that its transition is seen', () => {
    const events = [...facts.slice(0, 2), arrived('queue.event')]
    let watched = false
    const machine = passing(controller(), () => watched)
    expect(seenOf(machine, input, events).microsteps).toBe(0)
    watched = true
    expect(seenOf(machine, input, events).microsteps).toBe(1)
  })
})

describe('an event of any machine', () => {
  const wire = setup({
    types: { context: {} as { readonly count: number }, events: {} as { type: 'go'; odd: boolean } },
    actors: { child: fromCallback<EventObject>(nothing) },
    guards: { isOdd: ({ event }) => event.odd },
    actions: {
      tell: sendTo('child', ({ event }) => event),
      tellLater: sendTo('child', ({ event }) => event, { delay: 10 }),
      count: assign({ count: ({ context }) => context.count + 1 }),
    },
  })
  const machineOf = (go: object, more: object = {}): AnyStateMachine =>
    wire.createMachine({
      context: { count: 0 },
      invoke: { id: 'child', src: 'child' },
      initial: 'one',
      states: { one: { on: { go } }, two: { on: { go: { actions: 'tell' } } } },
      ...more,
    } as never) as unknown as AnyStateMachine
  const cases: readonly [string, () => AnyStateMachine][] = [
    ['it leads somewhere', () => machineOf({ target: 'two', actions: 'tell' })],
    ['it is noted', () => machineOf({ actions: 'count' })],
    ['it is noted and passed on', () => machineOf({ actions: ['count', 'tell'] })],
    ['it is passed on later', () => machineOf({ actions: 'tellLater' })],
    ['a guard looks at it', () => machineOf([{ guard: 'isOdd', actions: 'tell' }, {}])],
    [
      'the machine around has a guard for all',
      () => machineOf({ actions: 'tell' }, { on: { '*': { guard: 'isOdd', actions: 'count' } } }),
    ],
  ]

  test('goes the short way where it is only passed on, also by two regions, and twice by one of them', () => {
    const region = { on: { go: { actions: ['tell', 'tell'] } } }
    const made = (): AnyStateMachine =>
      machineOf(
        {},
        { type: 'parallel', initial: undefined, states: { a: region, b: { on: { go: { actions: 'tell' } } } } },
      )
    const events = [{ type: 'go' }]
    const { microsteps, ...short } = seenOf(passing(made(), unwatched), undefined, events)
    const { microsteps: whole, ...alone } = seenOf(made(), undefined, events)
    expect(short).toEqual(alone)
    expect({ microsteps, whole, sent: short.said.length }).toEqual({ microsteps: 0, whole: 1, sent: 6 })
  })

  test.each(cases)('goes the whole way where some state makes more of it: %s', (_, made) => {
    for (const odd of [true, false]) {
      const events = [
        { type: 'go', odd: true },
        { type: 'go', odd },
      ]
      const short = seenOf(passing(made(), unwatched), undefined, events)
      expect(short).toEqual(seenOf(made(), undefined, events))
      expect(short.microsteps).toBeGreaterThan(0)
    }
  })
})

describe('sendEach', () => {
  interface Brought extends EventObject {
    readonly type: 'bring'
    readonly items: readonly number[]
  }
  const childOf = (tell: object): AnyStateMachine =>
    createMachine({
      context: { brought: 0 },
      on: { bring: { actions: [tell, assign({ brought: ({ event }) => event['items'].length })] as never } },
    })
  const items = [1, 2, 3]

  const toldOf = (child: AnyStateMachine) => {
    const told: unknown[] = []
    const parent = createMachine({
      invoke: { id: 'child', src: child },
      on: {
        item: {
          actions: ({ event, self }) =>
            void told.push({ ...event, childHas: self.getSnapshot().children['child']?.getSnapshot().context.brought }),
        },
      },
    })
    const events = [{ type: 'bring', items } as EventObject]
    return { told, ...seenOf(parent, undefined, events, (root) => root.getSnapshot().children.child) }
  }

  const tellParent = sendEach(({ event, parent }: Telling<MachineContext, Brought>, send: Send) => {
    for (const item of event.items) send(parent, { type: 'item', item } as EventObject)
  })

  test('the parent gets each event by itself, from this child, when the turn of the child is over', () => {
    const each = toldOf(childOf(tellParent))
    expect(each.told).toEqual(items.map((item) => ({ type: 'item', item, childHas: 3 })))
    expect(each.said.slice(-3)).toEqual(
      items.map((item) => ({ from: 'child', to: 'root', what: { type: 'item', item } })),
    )
  })

  test('to nobody is an error, and not an event that is lost', () => {
    const alone = createActor(childOf(tellParent))
    const failed: unknown[] = []
    alone.subscribe({ error: (error) => void failed.push(error) })
    alone.start()
    alone.send({ type: 'bring', items } as EventObject)
    expect(alone.getSnapshot().status).toBe('error')
    expect(failed).toMatchObject([{ message: expect.stringContaining('nobody to send item to') }])
  })

  test('as sendParent does it one by one', () => {
    const one = items.map((item) => sendParent({ type: 'item', item }))
    const alone = createMachine({
      context: { brought: 0 },
      on: { bring: { actions: [...one, assign({ brought: 3 })] as never } },
    })
    expect(toldOf(childOf(tellParent))).toEqual(toldOf(alone))
  })
})
