import { afterEach, describe, expect, test } from 'vitest'
import {
  type AnyMachineSnapshot,
  createActor,
  type EventObject,
  fromCallback,
  SimulatedClock,
  setup,
  transition,
} from 'xstate'
import type { Delivery, Outcome, Settlement } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import { matrixOf, sourceEventTypes } from '../../machines/matrix.ts'
import type { EventArrived, SourceCommand, SourceMoved, SourceState } from '../../machines/protocol.ts'
import { type SourceContext, type SourceOutput, type SourcePolicy, sourceMachine } from '../../machines/source.ts'
import { linkLogic } from '../../src/runtime/link.ts'
import { checkMachine } from '../../src/testing/check.ts'
import { pathOf, runOut, type WalkOptions, walkMachine } from '../../src/testing/walk.ts'
import { createFakeDriver, type FakeDriver } from '../support/fakeDriver.ts'
import { until } from '../support/until.ts'
import { replayed } from './replayed.ts'

const nothing = (): void => undefined
const lost = new ControllerError('SOURCE_CONNECTION_LOST', 'cut by the test')

const pure = sourceMachine.provide({
  actors: { link: fromCallback(nothing) },
  actions: { tellLink: nothing, passCredit: nothing, tellController: nothing, report: nothing },
})

const delivery = (receipt: number): Delivery => ({
  receipt,
  event: { id: '1', source: 's', type: 't', data: {}, kind: 'queue.event', via: 'fake', identified: true },
  bytes: 1,
  redelivered: false,
})

const contextOf = (snapshot: AnyMachineSnapshot): SourceContext => snapshot.context

const settleAll = (snapshot: AnyMachineSnapshot): EventObject & SourceCommand => ({
  type: 'source.settle',
  settlements: Array.from({ length: contextOf(snapshot).counts.inFlight }, (_, receipt) => ({
    receipt,
    outcome: 'ack',
  })),
  bytes: contextOf(snapshot).bytesInFlight,
  results: { done: contextOf(snapshot).counts.inFlight },
})

const exploration: WalkOptions<typeof pure> = {
  input: { name: 'fake', kind: 'queue.event', credit: { events: 2, bytes: 100 } },
  // The link is a callback: it goes on until it is stopped.
  answers: { link: [] },
  events: (snapshot) => {
    const { inFlight } = contextOf(snapshot).counts
    const one: SourceCommand = {
      type: 'source.settle',
      settlements: [{ receipt: 0, outcome: 'ack' }],
      bytes: 1,
      results: { done: 1 },
    }
    return [
      { type: 'source.listen' },
      { type: 'source.pause' },
      { type: 'source.resume' },
      { type: 'source.setCredit', credit: { events: inFlight === 2 ? 8 : 2, bytes: 100 } },
      { type: 'source.drain' },
      { type: 'source.abort' },
      { type: 'link.connected' },
      { type: 'link.failed', error: lost, jitter: 0 },
      { type: 'link.lost', error: lost, jitter: 0 },
      { type: 'link.cancelled' },
      { type: 'link.disconnected' },
      ...(inFlight > 0 ? [one] : []),
      ...(inFlight < 3 ? [{ type: 'link.delivered', deliveries: [delivery(inFlight)] }] : []),
    ]
  },
  keyOf: (snapshot) => {
    const { counts, started, paused, credit } = contextOf(snapshot)
    return JSON.stringify([snapshot.value, counts.inFlight, started, paused, credit.events])
  },
}
const walk = walkMachine(pure, exploration)
const states = walk.states.map(({ snapshot }) => snapshot)

describe('the source machine, over all reachable states', () => {
  test('every state can be reached', () => {
    expect(walk.unreached).toEqual([])
  })

  test('every event of the protocol is answered in every state', () => {
    expect(matrixOf(sourceMachine, sourceEventTypes).filter(({ answer }) => answer === 'blank')).toEqual([])
    const steps = walk.states.flatMap(({ path, steps }) => steps.map((step) => ({ path, ...step })))
    expect(steps.filter(({ answered }) => !answered).map(({ path, event }) => [path, event.type])).toEqual([])
  })

  test('a drain ends in closed, whatever the driver leaves unanswered, once what is in flight was settled', () => {
    const findings = checkMachine(pure, { ...exploration, stop: { type: 'source.drain' }, afterStop: settleAll })
    expect(findings.filter(({ kind }) => kind === 'stop' || kind === 'stuck')).toEqual([])
  })

  test('an abort ends in closed with no answer from anybody, and says what stayed unsettled', () => {
    for (const state of states.filter(({ status }) => status === 'active')) {
      const end = runOut(pure, transition(pure, state, { type: 'source.abort' })[0])
      expect(end.output, pathOf(state)).toEqual({ name: 'fake', counts: contextOf(state).counts })
    }
  })

  test('nothing flows before the controller listens', () => {
    const flowing = ['listening', 'throttled', 'stalled', 'paused']
    const early = states.filter((state) => flowing.includes(pathOf(state).split('.')[0] ?? ''))
    expect(early.filter((state) => !contextOf(state).started).map(pathOf)).toEqual([])
  })

  test('each path leads a running actor where it was predicted to', () => {
    const ends = replayed(pure, exploration.input, walk.states)
    expect(ends.filter(({ predicted, reached }) => predicted !== reached)).toEqual([])
    expect(ends.length).toBeGreaterThan(20)
  })

  test('what was accepted is settled or in flight, at all times', () => {
    for (const { counts } of states.map(contextOf)) {
      expect(counts.accepted).toBe(counts.settled + counts.inFlight)
      expect(counts.settled).toBe(counts.results.done)
      expect(counts.inFlight).toBeGreaterThanOrEqual(0)
    }
  })
})

interface Replay {
  readonly fake: FakeDriver
  readonly clock: SimulatedClock
  readonly moves: SourceState[]
  readonly arrived: Delivery[]
  readonly output: () => SourceOutput | undefined
  send(command: SourceCommand): void
  at(state: SourceState): Promise<unknown>
  settle(outcome: Outcome): void
}

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

const policy: SourcePolicy = {
  backoff: { minMs: 1_000, maxMs: 8_000 },
  connectTimeoutMs: 15_000,
  stallAfterMs: 60_000,
  cancelTimeoutMs: 5_000,
  disconnectTimeoutMs: 5_000,
}

/** The source machine with its real link, under a parent that writes down what it says. */
const replay = (): Replay => {
  const fake = createFakeDriver()
  const clock = new SimulatedClock()
  const moves: SourceState[] = []
  const arrived: Delivery[] = []
  let output: SourceOutput | undefined
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
  const link = linkLogic(() => ({ driver: fake.driver, log, gauge: nothing, count: nothing }))
  const parent = setup({
    types: { events: {} as EventArrived | SourceMoved },
    actors: { source: sourceMachine.provide({ actors: { link } }) },
  }).createMachine({
    invoke: {
      id: 'source',
      src: 'source',
      input: { name: 'fake', kind: 'queue.event', credit: { events: 4, bytes: 1_000 }, policy },
      onDone: {
        actions: ({ event }) => {
          output = event.output
        },
      },
    },
    on: {
      'source.moved': { actions: ({ event }) => void moves.push(event.state) },
      'queue.event': { actions: ({ event }) => void arrived.push(event.delivery) },
    },
  })
  const root = createActor(parent, { clock })
  root.start()
  stops.push(() => root.stop())
  const send = (command: SourceCommand): void => root.getSnapshot().children.source?.send(command)
  let settled = 0
  return {
    fake,
    clock,
    moves,
    arrived,
    output: () => output,
    send,
    at: (state) => until(() => moves.at(-1) === state, 2_000),
    settle: (outcome) => {
      const settlements: Settlement[] = arrived.slice(settled).map(({ receipt }) => ({ receipt, outcome }))
      settled = arrived.length
      const results = { [outcome === 'ack' ? 'done' : 'released']: settlements.length }
      send({ type: 'source.settle', settlements, bytes: settlements.length * 10, results })
    },
  }
}

const listening = async (): Promise<Replay> => {
  const source = replay()
  source.send({ type: 'source.listen' })
  await source.at('listening')
  return source
}

describe('the source machine with its real link and a faked driver', () => {
  test('connects, delivers, settles, drains and closes, and nothing stays open', async () => {
    const source = replay()
    await source.at('waiting')
    source.send({ type: 'source.listen' })
    source.fake.deliver(3)
    expect(source.arrived).toHaveLength(3)
    source.send({ type: 'source.drain' })
    source.settle('ack')
    await source.at('closed')
    expect(source.moves).toEqual(['connecting', 'waiting', 'listening', 'draining', 'disconnecting', 'closed'])
    expect(source.fake.calls).toEqual(['connect', 'consume', 'cancel', 'disconnect'])
    expect(source.fake.settled.map(({ receipt }) => receipt)).toEqual([1, 2, 3])
    expect(source.output()).toMatchObject({ name: 'fake', counts: { inFlight: 0 } })
  })

  test('a lost link is backed off from, tried again while it is refused, and listened to when it is back', async () => {
    const source = await listening()
    source.fake.refuse(2)
    source.fake.lose()
    expect(source.moves.at(-1)).toBe('backingOff')
    for (const failures of [1, 2]) {
      const connects = source.fake.calls.filter((call) => call === 'connect').length
      source.clock.increment(99)
      expect(source.moves.at(-1)).toBe('backingOff')
      source.clock.increment(1_000 * 2 ** (failures - 1))
      await until(() => source.moves.at(-1) === 'backingOff' && source.fake.calls.length > connects)
    }
    source.clock.increment(4_000)
    await source.at('listening')
    const tried = source.moves.filter((state) => state === 'connecting')
    expect(tried).toHaveLength(4)
    expect(source.fake.calls.at(-1)).toBe('consume')
  })

  test('what arrived over a lost link is settled all the same, and what a lost link still says is dropped', async () => {
    const source = await listening()
    source.fake.deliver(2)
    source.fake.lose()
    source.fake.deliver(1)
    source.fake.lose()
    expect(source.arrived).toHaveLength(2)
    source.settle('ack')
    source.send({ type: 'source.drain' })
    await until(() => source.output())
    expect(source.output()).toMatchObject({ name: 'fake', counts: { inFlight: 0 } })
    expect(source.moves.filter((state) => state === 'backingOff')).toHaveLength(1)
  })

  test('a drain while backing off closes at once and connects no more', async () => {
    const source = await listening()
    source.fake.lose()
    source.send({ type: 'source.drain' })
    await source.at('closed')
    source.clock.increment(60_000)
    expect(source.fake.calls.filter((call) => call === 'connect')).toHaveLength(1)
  })

  test('a driver that never answers cancel or disconnect is closed by the clock, after what is in flight', async () => {
    const source = await listening()
    source.fake.silence('cancel')
    source.fake.silence('disconnect')
    source.fake.deliver(1)
    source.send({ type: 'source.drain' })
    source.clock.increment(policy.cancelTimeoutMs)
    expect(source.moves.at(-1)).toBe('draining')
    source.settle('ack')
    expect(source.moves.at(-1)).toBe('disconnecting')
    source.clock.increment(policy.disconnectTimeoutMs)
    expect(source.moves.at(-1)).toBe('closed')
    expect(source.fake.calls).toEqual(['connect', 'consume', 'cancel', 'disconnect'])
  })

  test('a driver that never answers connect is given up and tried again', async () => {
    const source = replay()
    await source.at('waiting')
    source.fake.silence('connect')
    source.fake.lose()
    source.clock.increment(1_000)
    expect(source.moves.at(-1)).toBe('connecting')
    source.clock.increment(policy.connectTimeoutMs)
    expect(source.moves.at(-1)).toBe('backingOff')
  })

  test('used up credit throttles, silence stalls, and half of it settled resumes', async () => {
    const source = await listening()
    source.fake.deliver(4)
    expect(source.moves.at(-1)).toBe('throttled')
    source.clock.increment(policy.stallAfterMs)
    expect(source.moves.at(-1)).toBe('stalled')
    source.settle('ack')
    expect(source.moves.slice(-2)).toEqual(['throttled', 'listening'])
    expect(source.fake.calls.at(-1)).toBe('resume')
  })

  test('bytes above their limit throttle and pause the driver, and half of them settled resumes it', async () => {
    const source = await listening()
    source.send({ type: 'source.setCredit', credit: { events: 8, bytes: 30 } })
    source.fake.deliver(2)
    expect(source.moves.at(-1)).toBe('listening')
    source.settle('ack')
    source.fake.deliver(2)
    expect(source.moves.at(-1)).toBe('listening')
    source.fake.deliver(1)
    expect([source.moves.at(-1), source.fake.calls.at(-1)]).toEqual(['throttled', 'pause'])
    source.settle('ack')
    expect([source.moves.at(-1), source.fake.calls.at(-1)]).toEqual(['listening', 'resume'])
  })

  test('more credit frees a stalled source at once, less throttles a listening one, and a later link begins with it', async () => {
    const source = await listening()
    source.fake.deliver(4)
    source.clock.increment(policy.stallAfterMs)
    source.send({ type: 'source.setCredit', credit: { events: 8, bytes: 1_000 } })
    expect(source.moves.slice(-3)).toEqual(['stalled', 'throttled', 'listening'])
    expect(source.fake.calls.slice(-2)).toEqual(['credit 8', 'resume'])
    source.send({ type: 'source.setCredit', credit: { events: 2, bytes: 1_000 } })
    expect(source.moves.at(-1)).toBe('throttled')
    source.settle('ack')
    expect(source.moves.at(-1)).toBe('listening')
    source.fake.lose()
    source.clock.increment(1_000)
    await source.at('listening')
    expect(source.fake.credit()).toBe(2)
  })

  test('a pause survives a reconnect', async () => {
    const source = await listening()
    source.send({ type: 'source.pause' })
    source.fake.lose()
    source.clock.increment(1_000)
    await source.at('paused')
    expect(source.fake.calls.slice(-3)).toEqual(['connect', 'consume', 'pause'])
    source.send({ type: 'source.resume' })
    expect(source.moves.at(-1)).toBe('listening')
  })
})
