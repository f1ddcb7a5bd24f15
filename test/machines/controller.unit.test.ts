import { afterEach, describe, expect, test } from 'vitest'
import {
  type AnyMachineSnapshot,
  createActor,
  type EventObject,
  fromCallback,
  SimulatedClock,
  transition,
} from 'xstate'
import { type ControllerContext, type ControllerOutput, controllerMachine } from '../../machines/controller.ts'
import { nothingCounted, withBrought } from '../../machines/counts.ts'
import type { Delivery } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import { eventKinds } from '../../machines/event.ts'
import { controllerEventTypes, matrixOf } from '../../machines/matrix.ts'
import type {
  CommandAnswered,
  ControllerCommand,
  JobsCommand,
  JobsSettled,
  JournalCommand,
  OperatorCommand,
  OperatorTask,
} from '../../machines/protocol.ts'
import { passing } from '../../machines/sending.ts'
import { sourceMachine } from '../../machines/source.ts'
import { linkLogic } from '../../src/runtime/link.ts'
import { sourceCounts } from '../../src/runtime/sourceActors.ts'
import { pathOf, runOut, type WalkOptions, walkMachine } from '../../src/testing/walk.ts'
import { createFakeDriver, type FakeDriver } from '../support/fakeDriver.ts'
import { until } from '../support/until.ts'
import { replayed } from './replayed.ts'

const nothing = (): void => undefined
const error = new ControllerError('JOURNAL_UNAVAILABLE', 'cut by the test')
const credit = { events: 4, bytes: 1_000 }
const policy = { preStopMs: 500, drainMs: 20_000, abortMs: 5_000, closeMs: 3_000 }

const pure = controllerMachine.provide({
  actions: {
    spawnChildren: nothing,
    stopJobs: nothing,
    tellJobs: nothing,
    tellJournal: nothing,
    tellOperator: nothing,
    tellSource: nothing,
  },
})

const contextOf = (snapshot: AnyMachineSnapshot): ControllerContext => snapshot.context

const delivery: Delivery = {
  receipt: 1,
  event: { id: '1', source: 's', type: 't', data: {}, kind: 'queue.event', via: 'a', identified: true },
  bytes: 1,
  redelivered: false,
}

const settled: JobsSettled = {
  type: 'jobs.settled',
  batches: [{ source: 'a', settlements: [{ receipt: 1, outcome: 'ack' }], bytes: 1, results: { done: 1 } }],
}

const gone = (left: number) => ({
  type: 'xstate.done.actor.source:a' as const,
  actorId: 'source:a',
  output: { name: 'a', counts: withBrought(nothingCounted, left) },
})

const asked = { id: '1', by: 'test' }
const commands: readonly OperatorCommand[] = [
  { type: 'controller.pause', source: 'a', asked },
  { type: 'controller.resume', source: 'a', asked },
  { type: 'controller.setCredit', source: 'a', credit: { events: 9 }, asked },
  { type: 'controller.redrive', asked },
  { type: 'controller.drop', asked },
  { type: 'controller.edit', asked },
  { type: 'controller.releaseWaiter', lock: 'ledger', asked },
  { type: 'controller.setLogLevel', asked },
  { type: 'controller.rotateSecret', source: 'b', asked },
  { type: 'controller.rotateSecret', source: 'nowhere', asked },
]

const exploration: WalkOptions<typeof pure> = {
  input: {
    sources: [
      { name: 'a', kind: 'queue.event', credit },
      { name: 'b', kind: 'webhook.event', credit },
    ],
    policy,
  },
  events: () => [
    { type: 'source.moved', source: 'a', state: 'waiting' },
    { type: 'source.moved', source: 'b', state: 'backingOff', error },
    { type: 'journal.up' },
    { type: 'journal.down', error },
    { type: 'journal.closed' },
    { type: 'controller.drain', reason: 'test' },
    { type: 'controller.abort', reason: 'test' },
    ...commands,
    { type: 'operator.performed', asked, result: { status: 'done', facts: {} } },
    gone(0),
    gone(1),
    { type: 'xstate.error.actor.source:b', actorId: 'source:b', error },
    { type: 'xstate.error.actor.jobs', actorId: 'jobs', error },
    settled,
    ...eventKinds.map((type) => ({ type, source: 'a', delivery })),
  ],
  keyOf: (snapshot) => {
    const { sources, journal, aborted } = contextOf(snapshot)
    const facts = Object.values(sources).map(({ answered, closed, counts }) => [answered, closed, counts?.inFlight])
    return JSON.stringify([snapshot.value, facts, journal, aborted])
  },
}
const walk = walkMachine(pure, exploration)
const states = walk.states.map(({ snapshot }) => snapshot)

describe('the controller machine, over all reachable states', () => {
  test('every state can be reached', () => {
    expect(walk.unreached).toEqual([])
  })

  test('every event of the protocol is answered in every state', () => {
    expect(matrixOf(controllerMachine, controllerEventTypes).filter(({ answer }) => answer === 'blank')).toEqual([])
    const steps = walk.states.flatMap(({ path, steps }) => steps.map((step) => ({ path, ...step })))
    expect(steps.filter(({ answered }) => !answered).map(({ path, event }) => [path, event.type])).toEqual([])
  })

  test.each(['controller.drain', 'controller.abort'])('%s ends in stopped though no child ever answers', (type) => {
    for (const state of states.filter(({ status }) => status === 'active')) {
      const [told] = transition(pure, state, { type, reason: 'test' } as ControllerCommand)
      expect(pathOf(runOut(pure, told)), pathOf(state)).toBe('stopped')
    }
  })

  test('each command is answered or handed to the operator, exactly once, in every state; and a drain too', () => {
    const drain = { type: 'controller.drain', reason: 'test', asked } as const
    for (const state of states.filter(({ status }) => status === 'active')) {
      for (const command of [...commands, drain]) {
        const [, actions] = transition(pure, state, command)
        const answers = actions.filter(
          ({ type, params }) =>
            type === 'tellOperator' ||
            (params as { event?: EventObject } | undefined)?.event?.type === 'controller.answered',
        )
        expect(answers, `${command.type} in ${pathOf(state)}`).toHaveLength(1)
      }
    }
  })

  test('each path leads a running actor where it was predicted to', () => {
    const ends = replayed(pure, exploration.input, walk.states)
    expect(ends.filter(({ predicted, reached }) => predicted !== reached)).toEqual([])
    expect(ends.length).toBeGreaterThan(20)
  })

  test('no event makes the machine fail', () => {
    expect(states.filter(({ status }) => status === 'error')).toEqual([])
  })

  test('it stops clean only when nothing was aborted and every source has closed with nothing in flight', () => {
    const ends = states.filter(({ status }) => status === 'done')
    for (const state of ends) {
      const { clean, report } = state.output as ControllerOutput
      const settled = Object.values(report).every(({ counts }) => counts?.inFlight === 0)
      expect(clean).toBe(settled && !contextOf(state).aborted)
    }
  })
})

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

/** The whole tree: real source machines and links, two faked drivers, and jobs and a journal that do as the test says. */
const replay = () => {
  const clock = new SimulatedClock()
  const drivers: Record<string, FakeDriver> = { orders: createFakeDriver(), hooks: createFakeDriver('webhook.event') }
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
  const admitted: Extract<JobsCommand, { type: 'jobs.admit' }>[] = []
  const heard: string[] = []
  let failJournal: () => void = nothing
  let failJobs: () => void = nothing
  let silentJournal = false
  const link = linkLogic((name) => ({
    driver: (drivers[name] as FakeDriver).driver,
    log,
    gauge: nothing,
    count: nothing,
  }))
  const settle = ({ source, delivery }: { source: string; delivery: Delivery }, released: boolean): JobsSettled => ({
    type: 'jobs.settled',
    batches: [
      {
        source,
        settlements: [{ receipt: delivery.receipt, outcome: released ? 'release' : 'ack' }],
        bytes: delivery.bytes,
        results: released ? { released: 1 } : { done: 1 },
      },
    ],
  })
  const jobs = fromCallback<JobsCommand>(({ receive, sendBack }) => {
    receive((command) => {
      heard.push(command.type)
      failJobs()
      if (command.type === 'jobs.admit') admitted.push(command)
      if (command.type === 'jobs.release') sendBack(settle(command, true))
      if (command.type === 'jobs.abort') for (const job of admitted.splice(0)) sendBack(settle(job, true))
    })
  })
  const journal = fromCallback<JournalCommand & EventObject>(({ receive, sendBack }) => {
    sendBack({ type: 'journal.up' })
    receive((command) => {
      heard.push(command.type)
      if (silentJournal) return
      failJournal()
      sendBack({ type: 'journal.closed' })
    })
  })
  const operator = fromCallback<OperatorTask & EventObject>(({ receive, sendBack }) => {
    receive(({ asked }) => {
      heard.push(`operator ${asked.id}`)
      sendBack({ type: 'operator.performed', asked, result: { status: 'done', facts: { id: asked.id } } })
    })
  })
  const machine = controllerMachine.provide({
    actors: { source: sourceMachine.provide({ actors: { link } }), jobs, journal, operator },
  })
  const actor = createActor(
    passing(machine, () => false),
    {
      clock,
      input: {
        sources: [
          { name: 'orders', kind: 'queue.event', credit },
          { name: 'hooks', kind: 'webhook.event', credit },
        ],
        policy,
      },
    },
  )
  const answers: CommandAnswered[] = []
  actor.on('controller.answered', (answer) => void answers.push(answer))
  const thrown: unknown[] = []
  actor.subscribe({ error: (failure) => void thrown.push(failure) })
  stops.push(() => actor.stop())
  return {
    actor,
    clock,
    orders: drivers.orders as FakeDriver,
    hooks: drivers.hooks as FakeDriver,
    heard,
    admitted,
    answers,
    thrown,
    finish: () => {
      for (const job of admitted.splice(0)) actor.send(settle(job, false))
    },
    silenceJournal: () => {
      silentJournal = true
    },
    breakJobs: () => {
      failJobs = () => {
        throw error
      }
    },
    breakJournal: () => {
      failJournal = () => {
        throw error
      }
    },
    path: () => pathOf(actor.getSnapshot()),
    facts: (name: string) => actor.getSnapshot().context.sources[name],
    counts: (name: string) => sourceCounts(actor.getSnapshot(), name),
  }
}

const running = async (): Promise<ReturnType<typeof replay>> => {
  const tree = replay()
  tree.actor.start()
  await until(() => tree.path() === 'running' && tree.facts('orders')?.state === 'listening', 2_000)
  return tree
}

describe('the controller machine with real sources and links and faked drivers', () => {
  test('boots, admits, settles, drains and stops clean, each event counted once', async () => {
    const tree = await running()
    tree.orders.deliver(3)
    tree.hooks.deliver(1)
    expect(tree.admitted.map(({ source }) => source)).toEqual(['orders', 'orders', 'orders', 'hooks'])
    tree.actor.send({ type: 'controller.drain', reason: 'SIGTERM' })
    tree.clock.increment(policy.preStopMs)
    expect(tree.path()).toBe('draining.finishing')
    tree.finish()
    await until(() => tree.path() === 'stopped')
    const { output } = tree.actor.getSnapshot()
    expect(output).toMatchObject({ clean: true, reason: 'SIGTERM' })
    expect(output?.report.orders?.counts).toMatchObject({ accepted: 3, settled: 3, inFlight: 0, results: { done: 3 } })
    expect(tree.orders.calls.at(-1)).toBe('disconnect')
    expect(tree.heard.slice(-2)).toEqual(['jobs.drain', 'journal.close'])
  })

  test('the root takes one event at a time: each has had its effects before the next begins, also those sent meanwhile', async () => {
    const tree = replay()
    const { logic } = tree.actor
    const transition = logic.transition.bind(logic)
    const seen: string[] = []
    Object.assign(logic, {
      transition: (...given: Parameters<typeof transition>) => {
        seen.push('begins')
        return transition(...given)
      },
    })
    tree.actor.start()
    await until(() => tree.path() === 'running' && tree.facts('orders')?.state === 'listening', 2_000)
    seen.length = 0
    tree.actor.subscribe(() => {
      seen.push('ends')
      // Somebody who looks at every state sends the next event from there.
      if (seen.length < 20) tree.orders.deliver(1)
    })
    tree.orders.deliver(1)
    // Jobs answer these at once.
    tree.actor.send({ type: 'controller.drain', reason: 'SIGTERM' })
    tree.clock.increment(policy.preStopMs)
    tree.orders.deliver(3)
    expect(tree.counts('orders').results.released).toBe(3)
    expect(seen.length).toBeGreaterThan(30)
    expect(seen).toEqual(seen.map((_, place) => (place % 2 === 0 ? 'begins' : 'ends')))
  })

  test('an operator pauses a source, changes its credit and resumes it; each command has one answer', async () => {
    const tree = await running()
    const by = 'operator'
    tree.actor.send({ type: 'controller.pause', source: 'orders', asked: { id: '1', by } })
    expect(tree.facts('orders')?.state).toBe('paused')
    tree.actor.send({ type: 'controller.setCredit', source: 'orders', credit: { events: 9 }, asked: { id: '2', by } })
    expect(tree.orders.credit()).toBe(9)
    expect(tree.facts('orders')?.credit).toEqual({ events: 9, bytes: credit.bytes })
    tree.actor.send({ type: 'controller.resume', source: 'orders', asked: { id: '3', by } })
    expect(tree.facts('orders')?.state).toBe('listening')
    tree.actor.send({ type: 'controller.pause', source: 'nowhere', asked: { id: '4', by } })
    tree.actor.send({ type: 'controller.redrive', asked: { id: '5', by } })
    expect(tree.heard).toContain('operator 5')
    tree.actor.send({ type: 'controller.drain', reason: 'asked for', asked: { id: '6', by } })
    tree.actor.send({ type: 'controller.resume', source: 'orders', asked: { id: '7', by } })
    tree.actor.send({ type: 'controller.setLogLevel', asked: { id: '8', by } })
    expect(tree.answers.map(({ asked, result }) => [asked.id, result.status])).toEqual([
      ['1', 'done'],
      ['2', 'done'],
      ['3', 'done'],
      ['4', 'refused'],
      ['5', 'done'],
      ['6', 'done'],
      ['7', 'refused'],
      ['8', 'done'],
    ])
  })

  test('a source that cannot connect does not hold up the others', async () => {
    const tree = replay()
    tree.hooks.refuse(100)
    tree.actor.start()
    await until(() => tree.path() === 'running' && tree.facts('orders')?.state === 'listening', 2_000)
    expect(tree.facts('hooks')).toMatchObject({ state: 'backingOff', error: { code: 'SOURCE_CONNECT_FAILED' } })
  })

  test('what arrives while it finishes is given back and counted as released', async () => {
    const tree = await running()
    tree.orders.silence('cancel')
    tree.actor.send({ type: 'controller.drain', reason: 'test' })
    tree.clock.increment(policy.preStopMs)
    tree.orders.deliver(1)
    expect(tree.orders.settled).toEqual([{ receipt: 1, outcome: 'release' }])
    expect(tree.counts('orders')).toMatchObject({ accepted: 1, settled: 1, results: { released: 1 } })
  })

  test('a handler that never ends is aborted when the time is up, its event given back, and the end is not clean', async () => {
    const tree = await running()
    tree.orders.deliver(1)
    tree.actor.send({ type: 'controller.drain', reason: 'test' })
    tree.clock.increment(policy.preStopMs)
    await until(() => tree.facts('hooks')?.closed)
    tree.clock.increment(policy.drainMs)
    expect(tree.path()).toBe('draining.aborting')
    await until(() => tree.path() === 'stopped')
    expect(tree.actor.getSnapshot().output).toMatchObject({
      clean: false,
      report: { orders: { counts: { inFlight: 0 } } },
    })
    expect(tree.orders.settled).toEqual([{ receipt: 1, outcome: 'release' }])
  })

  test('a driver and a journal that never answer again do not keep it from stopping', async () => {
    const tree = await running()
    for (const driver of [tree.orders, tree.hooks]) {
      driver.silence('cancel')
      driver.silence('disconnect')
    }
    tree.silenceJournal()
    tree.actor.send({ type: 'controller.drain', reason: 'test' })
    for (let second = 0; second < 40; second++) tree.clock.increment(1_000)
    expect(tree.path()).toBe('stopped')
  })

  test('a journal that fails while it closes stops it at once, not clean, and without an error of the root', async () => {
    const tree = await running()
    tree.breakJournal()
    tree.actor.send({ type: 'controller.drain', reason: 'test' })
    tree.clock.increment(policy.preStopMs)
    await until(() => tree.path() === 'stopped' || tree.thrown.length > 0)
    expect(tree.thrown).toEqual([])
    expect(tree.actor.getSnapshot().output).toMatchObject({ clean: false, reason: 'test' })
  })

  test('jobs that fail end the controller in order: sources closed, journal closed, not clean', async () => {
    const tree = await running()
    tree.breakJobs()
    tree.orders.deliver(1)
    expect(tree.path()).toBe('draining.aborting')
    for (let second = 0; second < 40; second++) tree.clock.increment(1_000)
    await until(() => tree.path() === 'stopped' || tree.thrown.length > 0)
    expect(tree.thrown).toEqual([])
    expect(tree.actor.getSnapshot().output).toMatchObject({ clean: false })
    expect(tree.counts('orders').inFlight).toBe(1)
    expect(tree.heard.at(-1)).toBe('journal.close')
  })
})
