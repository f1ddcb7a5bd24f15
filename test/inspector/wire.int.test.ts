import { afterEach, describe, expect, it } from 'vitest'
import { createActor, createMachine, fromPromise, sendTo } from 'xstate'
import type { MachineDefinition } from '../../inspector/protocol/definition.ts'
import { until } from '../support/until.ts'
import { counting, inspected, stopAll } from './support.ts'

afterEach(stopAll)

describe('a guest', () => {
  it('attaches nothing while nobody watches, also while somebody is there', async () => {
    const { inspector, view } = await inspected(counting())
    const viewer = await view()
    expect(inspector.viewers()).toBe(1)
    expect(inspector.observers()).toBe(0)
    viewer.watch({ events: 'all' })
    await until(() => inspector.observers() === 1)
    viewer.watch({})
    await until(() => inspector.observers() === 0)
  })

  it('is gone when the last viewer has left', async () => {
    const { inspector, view } = await inspected(counting())
    const [one, two] = [await view(), await view()]
    one.watch({ events: 'all' })
    two.watch({ states: true })
    await until(() => inspector.observers() === 1)
    await one.close()
    expect(inspector.observers()).toBe(1)
    await two.close()
    await until(() => inspector.observers() === 0 && inspector.viewers() === 0)
  })
})

describe('hello', () => {
  it('shows every actor with parent, kind, state and what it would answer', async () => {
    const actor = counting()
    const { view } = await inspected(actor)
    actor.send({ type: 'work' })
    const hello = await (await view()).hello()
    expect(hello).toMatchObject({ v: 1, pid: process.pid, role: 'operate', actorsLeftOut: 0, commands: [] })
    const [root] = hello.actors
    expect(root).toMatchObject({
      id: 'counting',
      kind: 'machine',
      status: 'active',
      active: ['on'],
      defId: hello.defs[0],
      next: expect.arrayContaining(['add', 'off']),
    })
    expect(hello.actors.slice(1)).toMatchObject([{ kind: 'promise', src: 'worker', parentId: root?.sessionId }])
  })

  it('brings what was seen while somebody looked, and says where nobody did', async () => {
    const actor = counting()
    const { view } = await inspected(actor)
    const first = await view()
    first.watch({ events: 'all' })
    await until(() => first.heard('stats').length > 0 || actor.getSnapshot())
    await until(() => {
      actor.send({ type: 'add' })
      return first.of('@xstate.event').length > 0
    })
    await first.close()
    actor.send({ type: 'add', by: 'unseen' })
    const second = await view()
    second.watch({ states: true })
    const { recent, seq } = await until(() => second.heard('hello')[1])
    expect(recent.map(({ type }) => type)).toContain('@xstate.event')
    expect(recent.at(-1)).toMatchObject({ type: 'gap', seq })
    expect(JSON.stringify(recent)).not.toContain('unseen')
  })
})

describe('definitions', () => {
  it('come by hash, in source order, immutable', async () => {
    const { page, view } = await inspected(counting())
    const { defs } = await (await view()).hello()
    const response = await fetch(`${page}definitions/${defs[0]}.json`)
    expect(response.headers.get('cache-control')).toContain('immutable')
    const definition = (await response.json()) as MachineDefinition
    expect(definition).toMatchObject({ hash: defs[0], id: 'counting' })
    expect(definition.root.states.map(({ path }) => path)).toEqual(['on', 'off'])
    expect(definition.root.states[0]?.transitions).toMatchObject([
      { id: 'on#0', event: 'add', label: 'add', kind: 'event', targets: [], actions: ['count'] },
      { id: 'on#1', event: 'hold' },
      { id: 'on#2', event: 'work', actions: ['spawnWorker'] },
      { id: 'on#3', event: 'off', targets: ['off'] },
    ])
    expect((await fetch(`${page}definitions/nothing.json`)).status).toBe(404)
  })

  it('say delays, eventless transitions, guards and invocations for people', async () => {
    const machine = createMachine({
      id: 'm',
      initial: 'a',
      states: {
        a: {
          after: { 3000: { target: 'b', guard: 'ready' }, later: 'b' },
          always: { guard: 'now', target: 'b' },
          invoke: { id: 'call', src: 'caller', onDone: 'b', onError: 'b' },
        },
        b: { type: 'final' },
      },
    }).provide({
      guards: { now: () => false, ready: () => true },
      delays: { later: 10_000 },
      actors: { caller: fromPromise(async () => undefined) },
    })
    const { page, view } = await inspected(createActor(machine))
    const { defs } = await (await view()).hello()
    const { root } = (await (await fetch(`${page}definitions/${defs[0]}.json`)).json()) as MachineDefinition
    const [a] = root.states
    expect([a?.entry, a?.exit]).toEqual([[], []])
    expect(a?.invokes).toEqual([{ id: 'call', src: 'caller' }])
    expect(a?.transitions.map(({ label, guard }) => [label, guard])).toEqual(
      expect.arrayContaining([
        ['after 3 s', 'ready'],
        ['after later', undefined],
        ['always', 'now'],
        ['done: call', undefined],
        ['error: call', undefined],
      ]),
    )
  })
})

describe('what happens', () => {
  it('an event comes with its sender, the transition that fired, what ran, and the state after it', async () => {
    const actor = counting()
    const { view } = await inspected(actor)
    const viewer = await view()
    viewer.watch({ events: 'all', snapshots: 'all', states: true })
    await until(() => viewer.heard('hello')[1])
    actor.send({ type: 'add', by: 'me' })
    actor.send({ type: 'off' })
    const { sessionId } = actor
    await until(() => viewer.of('transition').length === 2)
    expect(viewer.of('@xstate.event')).toMatchObject([
      { sessionId, event: { type: 'add', by: 'me' } },
      { sessionId, event: { type: 'off' } },
    ])
    expect(viewer.of('transition')).toMatchObject([
      { edge: 'on#0', source: 'on', event: 'add', targets: [], actions: ['count'] },
      { edge: 'on#3', source: 'on', event: 'off', targets: ['off'] },
    ])
    expect(viewer.of('@xstate.snapshot')).toMatchObject([
      { event: { type: 'off' }, snapshot: { status: 'active', value: 'off', context: { count: 1 } } },
    ])
    const [batch] = viewer.heard('batch')
    expect(batch?.states[sessionId]).toMatchObject({ active: ['off'] })
    const seqs = viewer.messages().map(({ seq }) => seq)
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
  })

  it('an event of one actor to another names both', async () => {
    const pong = createMachine({ id: 'pong', on: { ping: {} } })
    const machine = createMachine({
      invoke: { id: 'other', src: pong },
      on: { go: { actions: sendTo('other', { type: 'ping' }) } },
    })
    const actor = createActor(machine).start()
    const { view } = await inspected(actor)
    const viewer = await view()
    viewer.watch({ events: 'all' })
    const ping = await until(() => {
      if (viewer.of('@xstate.event').length === 0) actor.send({ type: 'go' })
      return viewer.of('@xstate.event').find(({ event }) => event.type === 'ping')
    })
    expect(ping.sourceId).toBe(actor.sessionId)
    expect(ping.sessionId).not.toBe(actor.sessionId)
  })

  it('a failed actor comes at once, with the whole error', async () => {
    const actor = counting()
    const { view } = await inspected(actor)
    const viewer = await view()
    viewer.watch({ states: true })
    await until(() => viewer.heard('hello')[1])
    actor.send({ type: 'work', fail: true })
    const failure = await until(() => viewer.of('error')[0])
    expect(failure).toMatchObject({ failed: true, error: { $: 'error', message: 'the worker broke', code: 'BROKEN' } })
    expect(viewer.of('@xstate.actor')[0]).toMatchObject({ actor: { src: 'worker', parentId: actor.sessionId } })
    expect(failure.sessionId).toBe(viewer.of('@xstate.actor')[0]?.sessionId)
  })

  it('who watches one actor hears of that one alone', async () => {
    const machine = createMachine({
      invoke: { id: 'other', src: createMachine({ on: { ping: {} } }) },
      on: { go: { actions: sendTo('other', { type: 'ping' }) } },
    })
    const actor = createActor(machine).start()
    const { view } = await inspected(actor)
    const viewer = await view()
    const other = actor.getSnapshot().children['other']
    viewer.watch({ events: [other?.sessionId ?? ''] })
    await until(() => {
      actor.send({ type: 'go' })
      return viewer.of('@xstate.event').length > 0
    })
    expect(new Set(viewer.messages().map(({ sessionId }) => sessionId))).toEqual(new Set([other?.sessionId]))
  })

  it('what was left out is counted, failures are all there', async () => {
    const actor = counting()
    const { view } = await inspected(actor, { isFailure: ({ type }) => type === 'hold' })
    const viewer = await view()
    viewer.watch({ events: 'all', states: true })
    await until(() => viewer.heard('hello')[1])
    const total = 5_000
    const failures = 300
    for (let i = 0; i < total; i++) actor.send({ type: 'off' })
    for (let i = 0; i < failures; i++) actor.send({ type: 'hold', held: i })
    await until(() => viewer.of('@xstate.event').filter(({ failed }) => failed).length === failures)
    const kept = viewer.of('@xstate.event').length + viewer.of('transition').length
    const left = viewer.heard('batch').reduce((sum, { sampledOut }) => sum + sampledOut, 0)
    expect(left).toBeGreaterThan(0)
    expect(kept + left).toBe(total + failures + 1)
  })

  it('statistics come each second, with the controller’s own where there is one', async () => {
    const { view } = await inspected(counting())
    const viewer = await view()
    viewer.watch({ states: true })
    const stats = await until(() => viewer.heard('stats')[0])
    expect(stats).toMatchObject({ actors: { live: 1, ended: 0 }, viewers: 1 })
    expect(stats.rssBytes).toBeGreaterThan(0)
  })
})

describe('whatever actors hold or throw', () => {
  it('an event whose type and error throw when they are asked', async () => {
    const actor = createActor(createMachine({ context: { n: 0 } })).start()
    const { view } = await inspected(actor)
    const viewer = await view()
    viewer.watch({ events: 'all' })
    const event = {
      type: 'odd',
      get error() {
        throw new Error('no')
      },
    }
    const seen = await until(() => {
      actor.send(event)
      return viewer.of('@xstate.event')[0]
    })
    expect(seen).toMatchObject({ failed: true, event: { type: 'odd', error: { $: 'threw' } } })
  })

  it('secrets are in no frame', async () => {
    const actor = counting()
    const marker = 'marker-5f1c'
    const { view } = await inspected(actor, { redact: { paths: ['by.card.number', 'held.card.number'] } })
    const viewer = await view()
    viewer.watch({ events: 'all', snapshots: 'all', states: true })
    await until(() => viewer.heard('hello')[1])
    const secret = {
      password: marker,
      card: { number: marker, brand: 'shown-brand' },
      url: `amqp://me:${marker}@host/`,
      headers: new Map([['authorization', marker]]),
    }
    actor.send({ type: 'add', by: secret })
    actor.send({ type: 'hold', held: secret })
    await until(() => viewer.of('@xstate.snapshot').length > 0)
    expect((await viewer.ask({ type: 'snapshot', sessionId: actor.sessionId })).ok).toBe(true)
    await until(() => viewer.heard('stats').length > 0)
    const all = viewer.frames.join('\n')
    expect(all).toContain('shown-brand')
    expect(all).not.toContain(marker)
  })
})
