import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { assign, createActor, createMachine, setup } from 'xstate'
import type { InspectorHost } from '../../inspector/host.ts'
import type { SourceView } from '../../inspector/protocol/controller.ts'
import { startChromium, type TestBrowser } from '../support/chromium.ts'
import { until } from '../support/until.ts'
import { nodes } from './inPage.ts'
import { counting, inspected, stopAll } from './support.ts'
import { longestTaskMs } from './tasks.ts'
import { type Visit, visit } from './visit.ts'

/** Any actors of XState 5, many of them, busy ones and odd ones, looked at in a browser. */
let chromium: TestBrowser

beforeAll(async () => {
  chromium = await startChromium()
}, 120_000)
afterEach(stopAll)
afterAll(() => chromium?.stop())

const look = async (page: string, query = ''): Promise<Visit> => {
  const seen = await visit(chromium.browser, page + query)
  await seen.page.locator('[data-link=live]').waitFor()
  return seen
}

const step = createMachine({
  id: 'step',
  initial: 'working',
  states: { working: { on: { end: 'ended' } }, ended: { type: 'final' } },
})

/** Has as many children as it is told to, and ends them when it is told to. */
const parent = setup({
  types: {
    events: {} as
      | { type: 'begin'; from: number; count: number }
      | { type: 'end'; id: string }
      | { type: 'xstate.done.actor.*' },
  },
  actors: { step },
}).createMachine({
  id: 'parent',
  context: {},
  on: {
    begin: {
      actions: assign(({ event, spawn }) => {
        for (let i = event.from; i < event.from + event.count; i++) spawn('step', { id: `step-${i}` })
        return {}
      }),
    },
    end: { actions: ({ event, self }) => self.getSnapshot().children[event.id]?.send({ type: 'end' }) },
    'xstate.done.actor.*': {},
  },
})

const family = () => createActor(createMachine({ id: 'family', invoke: { id: 'parent', src: parent } })).start()

test('100 short-lived actors come and go below their parent, are folded when they have ended, and the document stays small', async () => {
  const actor = family()
  const { page } = await inspected(actor)
  await using seen = await look(page)
  const child = actor.getSnapshot().children['parent']
  child?.send({ type: 'begin', from: 0, count: 100 })
  const rows = seen.page.locator('[data-actor^=step-]')
  await rows.first().waitFor()
  await seen.page.locator('.tree .faint', { hasText: /^102$/ }).waitFor()
  for (const row of await rows.all()) expect(await row.getAttribute('aria-level')).toBe('3')
  expect(await seen.page.evaluate(nodes)).toBeLessThan(2_000)
  for (let i = 0; i < 100; i++) child?.send({ type: 'end', id: `step-${i}` })
  const ended = seen.page.locator('.tree-row.ended')
  await until(async () => (await ended.innerText()).endsWith('100'))
  expect(await rows.count()).toBe(0)
  await ended.getByRole('button').click()
  await rows.first().waitFor()
  expect(await rows.first().innerText()).toContain('done')
  expect(await seen.page.evaluate(nodes)).toBeLessThan(2_000)
})

test('with 1,000 actors and 1,000 sources the tree, the tables and the chart stay usable', async () => {
  const actor = family()
  actor.getSnapshot().children['parent']?.send({ type: 'begin', from: 0, count: 998 })
  const { page } = await inspected(actor, { service: crowd })
  const { result: seen, longestMs } = await longestTaskMs(chromium.browser, undefined, async () => look(page))
  try {
    await seen.page.getByLabel('Filter the actors').fill('step-777')
    await seen.page.locator('[data-actor=step-777] .actor').click()
    await seen.page.locator('.state.on[data-path=working]').waitFor({ timeout: 60_000 })
    actor.getSnapshot().children['parent']?.send({ type: 'end', id: 'step-777' })
    await seen.page.locator('.state.on[data-path=ended]').waitFor()
    await seen.page.getByRole('tab', { name: 'Sources' }).click()
    await seen.page.getByLabel('Filter the sources').fill('source-640')
    await until(async () => (await seen.page.locator('.source-row').count()) === 1)
    expect(await seen.page.locator('.source-row').innerText()).toContain('source-640')
    expect((await seen.findings())[0]).toMatch(/^source-3 is stuck/)
    expect(await seen.page.evaluate(nodes)).toBeLessThan(2_000)
    expect(longestMs).toBeLessThan(500)
  } finally {
    await seen[Symbol.asyncDispose]()
  }
})

/** A controller with 1,000 sources, of which one is stuck. */
const crowd: InspectorHost = {
  commands: ['pause', 'resume'],
  control: async () => undefined,
  parked: async () => ({ events: [], counts: {} }),
  parkedEvent: async () => undefined,
  status: async () => {
    const now = new Date().toISOString()
    const source = (no: number): SourceView => ({
      kind: 'queue',
      driver: 'rabbitmq',
      state: no === 3 ? 'stalled' : 'listening',
      stateSince: now,
      accepted: no,
      settled: no,
      inFlight: 0,
      parked: 0,
      credit: 32,
      reconnects: 0,
    })
    return {
      name: 'crowd',
      version: '1.0.0',
      pid: process.pid,
      state: 'running',
      startedAt: now,
      sources: Object.fromEntries(Array.from({ length: 1_000 }, (_, no) => [`source-${no}`, source(no)])),
      journal: { state: 'up' },
      jobs: { running: 0, waiting: 0, list: [], long: [] },
      locks: {},
    }
  },
}

test('a tab that is hidden watches nothing, and one that is closed leaves no observer', async () => {
  const { page, inspector } = await inspected(counting())
  {
    await using seen = await look(page)
    await until(() => inspector.observers() === 1)
    const hide = (hidden: boolean) =>
      seen.page.evaluate(`Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${hidden} });
        document.dispatchEvent(new Event('visibilitychange'))`)
    await hide(true)
    await until(() => inspector.observers() === 0)
    await hide(false)
    await until(() => inspector.observers() === 1)
  }
  await until(() => inspector.observers() === 0 && inspector.viewers() === 0)
})
