import { expect, test } from 'vitest'
import { defineController, on, tableQueue } from '../../src/index.ts'
import { until } from '../support/until.ts'
import { operated } from './running.ts'

/** A gate that handlers wait at, and who came there. */
const gate = () => {
  const arrived: string[] = []
  let open = Promise.withResolvers<void>()
  return {
    arrived,
    pass: async (id: string): Promise<void> => {
      arrived.push(id)
      await open.promise
    },
    open: () => open.resolve(),
    close: () => {
      open = Promise.withResolvers()
    },
  }
}

const broken = () => {
  const state = { works: false, runs: [] as string[] }
  const definition = defineController({
    sources: { orders: tableQueue({ queue: 'orders' }) },
    handlers: [
      on('order.created', { retry: { attempts: 1 } }, ({ id }) => {
        state.runs.push(id)
        if (!state.works) throw new Error('the shop is closed')
      }),
    ],
  })
  return { state, definition }
}

test('a paused source takes nothing and keeps what it has, a resumed one goes on, and both are on record with who it was', async () => {
  const { arrived, pass, open } = gate()
  await using controller = await operated(
    defineController({
      sources: { orders: tableQueue({ queue: 'orders' }) },
      handlers: [on('order.created', ({ id }) => pass(id))],
    }),
  )
  await controller.enqueue('orders', 'order.created', '1')
  await until(() => arrived.includes('1'))
  expect(await controller.control({ name: 'pause', source: 'orders' })).toEqual({
    status: 200,
    body: { source: 'orders', paused: true },
  })
  await until(async () => (await controller.status()).sources['orders']?.state === 'paused')
  await controller.enqueue('orders', 'order.created', '2')
  open()
  await until(async () => (await controller.status()).sources['orders']?.settled === 1)
  expect(arrived).toEqual(['1'])
  expect((await controller.control({ name: 'resume', source: 'orders' })).status).toBe(200)
  await until(() => arrived.includes('2'))
  expect(controller.audited()).toEqual([
    { command: 'pause', result: 'done', source: 'orders', paused: true },
    { command: 'resume', result: 'done', source: 'orders', paused: false },
  ])
  const who = { actor: 'operator', by: 'admin', address: '127.0.0.1' }
  expect(controller.lines.filter(({ msg }) => msg === 'operator command')).toMatchObject([who, who])
})

test('more credit is used at once, and less holds from then on', async () => {
  const { arrived, pass, open } = gate()
  await using controller = await operated(
    defineController({
      concurrency: 50,
      sources: { orders: tableQueue({ queue: 'orders', credit: 2 }) },
      handlers: [on('order.created', ({ id }) => pass(id))],
    }),
  )
  for (let no = 1; no <= 12; no++) await controller.enqueue('orders', 'order.created', String(no))
  await until(() => arrived.length === 2)
  expect((await controller.control({ name: 'credit', source: 'orders', events: 7 })).body).toMatchObject({
    credit: { events: 7 },
    before: { events: 2 },
  })
  await until(() => arrived.length === 7)
  expect((await controller.status()).sources['orders']).toMatchObject({ credit: 7, inFlight: 7, state: 'throttled' })
  await controller.control({ name: 'credit', source: 'orders', events: 1 })
  open()
  await until(async () => (await controller.status()).sources['orders']?.settled === 12)
  expect((await controller.status()).sources['orders']?.credit).toBe(1)
})

test('a parked event is redriven once by a double click, after the real state was looked at', async () => {
  const { state, definition } = broken()
  await using controller = await operated(definition)
  await controller.enqueue('orders', 'order.created', 'o-1')
  const [parked] = await until(async () => {
    const events = await controller.parked()
    return events.length > 0 ? events : undefined
  })
  state.works = true
  const click = { name: 'redrive', filter: { seqs: [parked?.seq] } }
  const answers = await Promise.all([controller.control(click), controller.control(click)])
  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  expect(answers.map(({ body }) => body['count']).sort()).toEqual([0, 1])
  await until(() => state.runs.length === 2)
  expect((await controller.control(click)).body).toEqual({ count: 0 })
  expect(await controller.parked()).toEqual([])
  expect(controller.audited()).toMatchObject([{ count: expect.any(Number) }, {}, { command: 'redrive', count: 0 }])
})

test('what failed again since somebody looked is not redriven by what he saw', async () => {
  const { state, definition } = broken()
  await using controller = await operated(definition)
  await controller.enqueue('orders', 'order.created', 'o-1')
  const seen = await until(async () => (await controller.parked())[0])
  const filter = { seqs: [seen.seq], parkedUntil: seen.parkedAt }
  expect((await controller.control({ name: 'redrive', filter })).body).toEqual({ count: 1 })
  await until(async () => ((await controller.parked())[0]?.parkedAt ?? seen.parkedAt) !== seen.parkedAt)
  expect((await controller.control({ name: 'redrive', filter })).body).toEqual({ count: 0 })
  expect(state.runs).toHaveLength(2)
})

test('all that match are redriven or dropped with a typed word, and nothing else is', async () => {
  const { definition } = broken()
  await using controller = await operated(definition)
  for (const id of ['1', '2', '3']) await controller.enqueue('orders', 'order.created', id)
  await controller.enqueue('orders', 'nobody.knows', '4')
  await until(async () => (await controller.parked()).length === 4)
  const drop = { name: 'drop', filter: { code: 'HANDLER_FAILED' } }
  expect((await controller.control(drop)).status).toBe(409)
  expect((await controller.parked()).length).toBe(4)
  expect(await controller.control({ ...drop, confirm: 'drop' })).toEqual({ status: 200, body: { count: 3 } })
  expect((await controller.parked()).map(({ id }) => id)).toEqual(['4'])
})

test('a source that is not there, and a controller that drains, refuse; nothing waits for an answer that never comes', async () => {
  const { pass, open } = gate()
  await using controller = await operated(
    defineController({
      sources: { orders: tableQueue({ queue: 'orders' }) },
      handlers: [on('order.created', ({ id }) => pass(id))],
    }),
  )
  const nowhere = await controller.control({ name: 'pause', source: 'nowhere' })
  expect(nowhere).toMatchObject({ status: 422, body: { detail: expect.stringContaining('there are orders') } })
  await controller.enqueue('orders', 'order.created', '1')
  await until(async () => (await controller.status()).sources['orders']?.inFlight === 1)
  expect(await controller.control({ name: 'drain', confirm: 'drain' })).toEqual({
    status: 202,
    body: { state: 'draining' },
  })
  expect((await controller.control({ name: 'pause', source: 'orders' })).status).toBe(409)
  expect((await controller.control({ name: 'logLevel', level: 'debug' })).body).toEqual({
    level: 'debug',
    before: 'info',
  })
  open()
  expect(await controller.controller.stopped).toMatchObject({
    exitCode: 0,
    report: { reason: 'asked for on the admin port' },
  })
})

test('the log level changes for every actor at once, and what operators do is on record at every level', async () => {
  const { definition } = broken()
  await using controller = await operated(definition)
  const debugs = () => controller.lines.filter(({ level }) => level === 'debug').length
  expect(debugs()).toBe(0)
  await controller.control({ name: 'logLevel', level: 'debug' })
  await controller.control({ name: 'credit', source: 'orders', events: 1 })
  await controller.enqueue('orders', 'nobody.knows', '1')
  await until(() => debugs() > 0)
  await controller.control({ name: 'logLevel', level: 'silent' })
  const before = controller.lines.length
  await controller.control({ name: 'pause', source: 'orders' })
  await until(async () => (await controller.status()).sources['orders']?.state === 'paused')
  expect(controller.lines.slice(before)).toMatchObject([{ msg: 'operator command', command: 'pause' }])
})

test('a token that may only read sees everything and changes nothing', async () => {
  const [operate, read] = ['o'.repeat(32), 'r'.repeat(32)]
  const { definition } = broken()
  const tokens = { KOKSMAT_INSPECTOR_TOKEN: operate, KOKSMAT_INSPECTOR_TOKEN_READ: read }
  await using controller = await operated(definition, tokens)
  const pause = { name: 'pause', source: 'orders' }
  expect((await controller.control(pause, read)).status).toBe(403)
  expect((await controller.status()).sources['orders']?.state).toBe('listening')
  expect((await controller.control(pause, operate)).status).toBe(200)
  expect(controller.audited()).toMatchObject([
    { command: 'control', result: 'refused', reason: 'its token may only read' },
    { command: 'pause', result: 'done' },
  ])
  expect(controller.log()).not.toMatch(/oooooooo|rrrrrrrr/)
  expect(controller.log()).not.toContain('for development only')
})

test('the log says at the start where the inspector is, and in one line that without a token anyone may operate', async () => {
  await using controller = await operated(broken().definition)
  const started = controller.lines.find(({ msg }) => msg === 'controller started')
  expect((await fetch(String(started?.['inspector']), { method: 'HEAD' })).status).toBe(200)
  const said = controller.lines.filter(({ msg }) => String(msg).includes('anyone on this machine may operate'))
  expect(said).toMatchObject([{ level: 'warn' }])
})
