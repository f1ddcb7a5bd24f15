import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { z } from 'zod'
import type { ParkedEventView, ParkedList } from '../../inspector/protocol/parked.ts'
import { type Controller, defineController, on, startController, tableQueue } from '../../src/index.ts'
import { createLog } from '../../src/log.ts'
import { freePort } from '../support/freePort.ts'
import { until } from '../support/until.ts'
import { openViewer, type TestViewer } from './support.ts'

/** The inspector of a whole controller in this process, on a real journal. */
const marker = 'marker-91c3'
const schema = `inspector_${randomBytes(4).toString('hex')}`
const lines: string[] = []
const release = Promise.withResolvers<void>()
let handled = 0
let broken = true
let database: Client
let controller: Omit<Controller, 'start'>
let page: string

const Card = z.object({ number: z.string().meta({ secret: true }), brand: z.string() })

const definition = defineController({
  sources: { orders: tableQueue({ queue: 'orders' }) },
  handlers: [
    on('order.created', { schema: z.object({ card: Card, password: z.string() }) }, async () => {
      handled++
    }),
    on('order.broken', { schema: z.object({ card: Card }), retry: { attempts: 1 } }, async () => {
      if (broken) throw Object.assign(new Error('the printer is on fire'), { code: 'ON_FIRE' })
      handled++
    }),
    on('order.slow', async (_, { signal }) => {
      await Promise.race([release.promise, new Promise((resolve) => signal.addEventListener('abort', resolve))])
    }),
  ],
})

const put = (type: string, data: object, id: string): Promise<unknown> =>
  database.query(`select ${schema}.enqueue('orders', $1, $2, id => $3)`, [type, JSON.stringify(data), id])
const card = { number: marker, brand: 'shown-brand' }
const viewed = async (): Promise<TestViewer> => {
  const viewer = await openViewer(page)
  await viewer.hello()
  return viewer
}
const logged = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>)

beforeAll(async () => {
  database = new Client({ connectionString: inject('databaseUrl') })
  await database.connect()
  const adminPort = await freePort()
  page = `http://127.0.0.1:${adminPort}/inspector/`
  controller = await startController(definition, {
    log: createLog({ level: 'info', format: 'json', to: { write: (line) => void lines.push(line) } }),
    environment: {
      DATABASE_URL: inject('databaseUrl'),
      KOKSMAT_JOURNAL_SCHEMA: schema,
      KOKSMAT_ADMIN_PORT: String(adminPort),
      PORT: '0',
    },
  })
})
afterAll(async () => {
  release.resolve()
  controller.drain('the test ends')
  await controller.stopped
  await database.query(`drop schema if exists ${schema} cascade`)
  await database.end()
})

test('it says in one line that it is open without a token', () => {
  expect(logged().filter(({ msg }) => String(msg).startsWith('no KOKSMAT_INSPECTOR_TOKEN'))).toHaveLength(1)
})

test('hello shows the tree of the controller, its sources, and the commands it takes', async () => {
  const viewer = await viewed()
  const hello = await viewer.hello()
  const [root, ...others] = hello.actors
  expect(root).toMatchObject({ id: 'controller', active: ['running'], tags: expect.arrayContaining(['ready']) })
  const source = others.find(({ id }) => id === 'source:orders')
  expect(source).toMatchObject({ kind: 'machine', parentId: root?.sessionId })
  expect(others.find(({ id, parentId }) => id === 'link' && parentId === source?.sessionId)).toMatchObject({
    kind: 'callback',
  })
  expect(others.map(({ id }) => id)).toEqual(expect.arrayContaining(['jobs', 'journal']))
  expect(hello.status?.sources['orders']).toMatchObject({ driver: 'tableQueue', parked: 0, results: { done: 0 } })
  expect(hello.commands).toEqual(expect.arrayContaining(['pause', 'resume', 'drain', 'redrive', 'drop']))
  await viewer.close()
})

test('an event is seen on its whole walk; secrets by name and by schema are in no frame', async () => {
  const viewer = await viewed()
  viewer.watch({ events: 'all', snapshots: 'all', states: true })
  await until(() => viewer.heard('hello')[1])
  await put('order.created', { card, password: marker }, 'o-1')
  await until(() => viewer.of('@xstate.event').some(({ event }) => event.type === 'source.settle'), 20_000)
  const types = viewer.of('@xstate.event').map(({ event }) => event.type)
  expect(types).toEqual(
    expect.arrayContaining([
      'link.delivered',
      'queue.event',
      'jobs.admit',
      'jobs.settled',
      'source.settle',
      'link.settle',
    ]),
  )
  expect(
    viewer.of('transition').some(({ edge, event }) => edge?.startsWith('running#') && event === 'queue.event'),
  ).toBe(true)
  await until(() => viewer.heard('stats').some(({ status }) => status?.latency !== undefined))
  for (const { sessionId } of (await viewer.hello()).actors) {
    expect((await viewer.ask({ type: 'snapshot', sessionId })).ok).toBe(true)
  }
  const all = viewer.frames.join('\n')
  expect(all).toContain('shown-brand')
  expect(all).not.toContain(marker)
  expect(all).not.toContain(new URL(inject('databaseUrl')).password || marker)
  await viewer.close()
  await until(() => handled === 1)
})

test('jobs that run are listed with their age', async () => {
  const viewer = await viewed()
  viewer.watch({ states: true })
  await put('order.slow', {}, 'slow-1')
  const job = await until(() => viewer.heard('stats').at(-1)?.status?.jobs.list?.[0])
  expect(job).toMatchObject({ source: 'orders', id: 'slow-1', type: 'order.slow', state: 'running' })
  release.resolve()
  await until(() => viewer.heard('stats').at(-1)?.status?.jobs.list?.length === 0)
  await viewer.close()
})

test('a parked event is a failure on the wire, is shown with its error, and is redriven once', async () => {
  const viewer = await viewed()
  viewer.watch({ events: 'all', states: true })
  await until(() => viewer.heard('hello')[1])
  await put('order.broken', { card }, 'b-1')
  await until(
    () => viewer.of('@xstate.event').some(({ event, failed }) => event.type === 'jobs.settled' && failed),
    20_000,
  )
  const list = await viewer.ask({ type: 'parked', filter: {} })
  const { events, counts } = (list.ok ? list.result : undefined) as ParkedList
  expect(counts).toEqual({ orders: 1 })
  expect(events).toMatchObject([{ id: 'b-1', error: { message: 'the printer is on fire' } }])
  const seq = events[0]?.seq ?? ''
  const one = await viewer.ask({ type: 'parkedEvent', seq })
  const shown = (one.ok ? one.result : undefined) as ParkedEventView
  expect(shown).toMatchObject({
    redacted: true,
    event: { data: { card: { number: { $: 'redacted' }, brand: 'shown-brand' } } },
    history: [{ attempt: 1, error: { message: 'the printer is on fire' } }],
  })
  broken = false
  const redrive = { type: 'control', command: { name: 'redrive', filter: { seqs: [seq] } } }
  const both = await Promise.all([viewer.ask(redrive), viewer.ask(redrive)])
  expect(both.map((ack) => ack.ok && (ack.result as { count: number }).count).sort()).toEqual([0, 1])
  await until(() => handled === 2)
  expect(await viewer.ask({ type: 'parkedEvent', seq })).toMatchObject({ ok: false, error: { code: 'NO_EVENT' } })
  expect(viewer.frames.join('\n')).not.toContain(marker)
  const audited = logged().filter(({ msg, command }) => msg === 'operator command' && command === 'redrive')
  expect(audited.map(({ count }) => count).sort()).toEqual([0, 1])
  await viewer.close()
})

test('a source is paused and resumed, by command and by hand-made event; no other event gets in', async () => {
  const viewer = await viewed()
  viewer.watch({ states: true })
  await until(() => viewer.heard('hello')[1])
  const { actors } = await viewer.hello()
  const [root] = actors
  const source = actors.find(({ id }) => id === 'source:orders')
  const stateOf = () =>
    viewer
      .heard('batch')
      .flatMap(({ states }) => states[source?.sessionId ?? ''] ?? [])
      .at(-1)?.active
  expect(await viewer.ask({ type: 'control', command: { name: 'pause', source: 'orders' } })).toMatchObject({
    ok: true,
  })
  await until(() => stateOf()?.includes('paused'))
  const event = { type: 'controller.resume', source: 'orders' }
  expect(await viewer.ask({ type: 'send', sessionId: root?.sessionId, event })).toMatchObject({ ok: true })
  await until(() => stateOf()?.includes('listening'))
  const unknown = await viewer.ask({ type: 'control', command: { name: 'pause', source: 'nobody' } })
  expect(unknown).toMatchObject({ ok: false, error: { code: 'REFUSED' } })
  for (const type of ['queue.event', 'controller.drain', 'journal.closed', 'jobs.settled']) {
    const refused = await viewer.ask({ type: 'send', sessionId: root?.sessionId, event: { type } })
    expect(refused).toMatchObject({ ok: false, error: { code: 'REFUSED' } })
  }
  await viewer.close()
})

test('seats of viewers that came and went, politely or not, are free again', async () => {
  for (let i = 0; i < 20; i++) {
    const viewer = await viewed()
    viewer.watch({ events: 'all', snapshots: 'all', states: true })
    if (i % 2 === 0) await viewer.close()
    else viewer.socket.terminate()
  }
  const viewer = await viewed()
  viewer.watch({ states: true })
  await until(() => viewer.heard('stats').at(-1)?.viewers === 1)
  await viewer.close()
})
