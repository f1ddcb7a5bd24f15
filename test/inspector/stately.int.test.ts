import { createWebSocketReceiver, type StatelyInspectionEvent } from '@statelyai/inspect'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../support/until.ts'
import { counting, inspected, stopAll } from './support.ts'

afterEach(stopAll)

/** The real receiver of @statelyai/inspect; it has no way to leave, so it ends with the server. */
const receiverOf = (page: string) => {
  const got: StatelyInspectionEvent[] = []
  createWebSocketReceiver({ server: `${page.replace(/^http/, 'ws')}stately` }).subscribe(
    (event) => void got.push(event),
  )
  const of = <Type extends StatelyInspectionEvent['type']>(type: Type) =>
    got.filter((event): event is Extract<StatelyInspectionEvent, { type: Type }> => event.type === type)
  return { got, of }
}

describe('the receiver of @statelyai/inspect', () => {
  it('gets every actor with its definition, however late it comes', async () => {
    const actor = counting()
    actor.send({ type: 'add' })
    const { page } = await inspected(actor)
    const { of } = receiverOf(page)
    const registered = await until(() => of('@xstate.actor')[0])
    expect(registered).toMatchObject({
      name: 'counting',
      sessionId: actor.sessionId,
      rootId: actor.sessionId,
      snapshot: { status: 'active', value: 'on', context: { count: 1 } },
    })
    const definition = JSON.parse(registered.definition ?? '') as { id: string; states: object }
    expect(definition).toMatchObject({ id: 'counting', initial: 'on', states: { on: { on: { off: 'off' } } } })
  })

  it('gets events, snapshots and births in the shape it expects', async () => {
    const actor = counting()
    const { page, inspector } = await inspected(actor)
    const { of, got } = receiverOf(page)
    await until(() => of('@xstate.actor').length > 0 && inspector.observers() === 1)
    actor.send({ type: 'work', fail: true })
    await until(() => of('@xstate.event').some(({ event }) => event.type.startsWith('xstate.error.actor.')))
    const born = of('@xstate.actor')[1]
    expect(born).toMatchObject({ parentId: actor.sessionId })
    const failed = of('@xstate.event').find(({ event }) => event.type.startsWith('xstate.error.actor.'))
    expect(failed).toMatchObject({ sourceId: born?.sessionId, sessionId: actor.sessionId })
    expect(JSON.stringify(failed)).toContain('the worker broke')
    await until(() => of('@xstate.snapshot').some(({ sessionId }) => sessionId === actor.sessionId))
    for (const event of got) {
      expect(event).toMatchObject({
        _version: '0.7.2',
        createdAt: expect.stringMatching(/^\d+$/),
        rootId: actor.sessionId,
      })
    }
  })

  it('is refused without a token, and let in with a ticket', async () => {
    const token = 'operate-token-of-at-least-32-characters'
    const { page, inspector } = await inspected(counting(), { token })
    const issued = await fetch(`${page}ticket`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
    const { ticket } = (await issued.json()) as { ticket: string }
    const got: StatelyInspectionEvent[] = []
    const server = `${page.replace(/^http/, 'ws')}stately?ticket=${ticket}`
    createWebSocketReceiver({ server }).subscribe((event) => void got.push(event))
    await until(() => got.length > 0)
    expect(inspector.viewers()).toBe(1)
  })
})
