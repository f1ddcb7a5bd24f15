import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createActor, createMachine, raise } from 'xstate'
import { until } from '../support/until.ts'
import { counting, inspected, stopAll } from './support.ts'

/**
 * The real receiver of @xstate/inspect 0.8. It accepts XState 4 only, so both live in a workspace of their own.
 */
const workspace = join(import.meta.dirname, 'classic')

interface Received {
  readonly type: 'service.register' | 'service.state' | 'service.event' | 'service.stop'
  readonly sessionId: string
  readonly id?: string
  readonly parent?: string
  readonly machine?: { id: string; initialState: { value: unknown }; stateIds: string[]; events: string[] }
  readonly state?: { value: unknown; context: unknown; matches(value: string): boolean }
  readonly event?: { name: string; data: { type: string } }
}

interface Receiver {
  send(command: { type: 'xstate.event'; event: string; service: string }): void
  subscribe(next: (event: Received) => void): unknown
}

let createWebSocketReceiver: (options: { server: string }) => Receiver

beforeAll(async () => {
  const load = createRequire(join(workspace, 'package.json'))
  ;({ createWebSocketReceiver } = load('@xstate/inspect') as {
    createWebSocketReceiver: typeof createWebSocketReceiver
  })
})

afterEach(stopAll)

const receiverOf = (page: string, query = '') => {
  const got: Received[] = []
  const receiver = createWebSocketReceiver({ server: `${page.replace(/^http:\/\//, '')}classic${query}` })
  receiver.subscribe((event) => void got.push(event))
  const of = (type: Received['type']) => got.filter((event) => event.type === type)
  return { receiver, got, of }
}

describe('the receiver of @xstate/inspect 0.8', () => {
  it('makes a machine of XState 4 of every machine, with its states, delays and guards, and the state it is in', async () => {
    const light = createMachine({
      id: 'light',
      type: 'parallel',
      states: {
        lamp: {
          initial: 'red',
          states: {
            red: {
              entry: raise({ type: 'entered' }),
              after: { 60000: 'green' },
              on: { 'xstate.done.actor.x': 'green' },
            },
            green: { always: { guard: () => false, target: 'red' }, type: 'final' },
          },
        },
        count: {
          initial: 'zero',
          states: { zero: { on: { up: { target: 'one', actions: () => undefined } } }, one: {} },
        },
      },
    })
    const actor = createActor(light, { id: 'light' }).start()
    onTestFinished(() => void actor.stop())
    actor.send({ type: 'up' })
    const { page } = await inspected(actor)
    const { of } = receiverOf(page)
    const registered = await until(() => of('service.register')[0])
    expect(registered).toMatchObject({ id: 'light', sessionId: actor.sessionId })
    expect(registered.machine?.initialState.value).toEqual({ lamp: 'red', count: 'zero' })
    expect(registered.machine?.stateIds).toEqual(
      expect.arrayContaining(['light', 'light.lamp.green', 'light.count.one']),
    )
    expect(registered.machine?.events).toEqual(expect.arrayContaining(['up', 'done.invoke.x']))
    expect(registered.state?.value).toEqual({ lamp: 'red', count: 'one' })
  })

  it('follows events, states and births, and sends events that have their effect', async () => {
    const actor = counting()
    const { page, inspector } = await inspected(actor)
    const { receiver, of } = receiverOf(page)
    await until(() => of('service.register').length > 0 && inspector.observers() === 1)
    const event = JSON.stringify({ name: 'off', data: { type: 'off' }, $$type: 'scxml', type: 'external' })
    receiver.send({ type: 'xstate.event', event, service: actor.sessionId })
    const seen = await until(() => of('service.event')[0])
    expect(seen.event).toMatchObject({ name: 'off', data: { type: 'off' } })
    const state = await until(() => of('service.state')[0]?.state)
    expect(state.matches('off')).toBe(true)
    expect(actor.getSnapshot().value).toBe('off')
  })

  it('of a session that may only read, sends nothing', async () => {
    const actor = counting()
    const readToken = 'read-token-of-at-least-thirty-two-characters'
    const { page, inspector } = await inspected(actor, { readToken })
    const issued = await fetch(`${page}ticket`, { method: 'POST', headers: { authorization: `Bearer ${readToken}` } })
    const { ticket } = (await issued.json()) as { ticket: string }
    const { receiver, of } = receiverOf(page, `?ticket=${ticket}`)
    await until(() => of('service.register').length > 0 && inspector.observers() === 1)
    const event = JSON.stringify({ name: 'off', data: { type: 'off' } })
    receiver.send({ type: 'xstate.event', event, service: actor.sessionId })
    actor.send({ type: 'add' })
    await until(() => of('service.event').length > 0)
    expect(of('service.event').map((each) => each.event?.name)).toEqual(['add'])
    expect(actor.getSnapshot().value).toBe('on')
  })
})
