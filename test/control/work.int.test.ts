import { Client } from 'pg'
import { expect, inject, test } from 'vitest'
import { defineController, on, tableQueue } from '../../src/index.ts'
import { until } from '../support/until.ts'
import { operated } from './running.ts'

/** Handlers under one lock; the first one waits until the test lets it go. */
const locking = () => {
  const ran: string[] = []
  const gate = Promise.withResolvers<void>()
  const definition = defineController({
    sources: { orders: tableQueue({ queue: 'orders', credit: 10 }) },
    handlers: [
      on('order.created', { atomic: 'ledger' }, async ({ id }) => {
        ran.push(id)
        if (id === 'first') await gate.promise
      }),
    ],
  })
  return { ran, open: gate.resolve, definition }
}

test('a payload is corrected and its event handled with it; the payload is not in the log', async () => {
  const seen: unknown[] = []
  await using controller = await operated(
    defineController({
      sources: { orders: tableQueue({ queue: 'orders' }) },
      handlers: [
        on('order.created', { retry: { attempts: 1 } }, ({ data }) => {
          if ((data as { total?: number }).total === undefined) throw new Error('no total')
          seen.push(data)
        }),
      ],
    }),
  )
  await controller.enqueue('orders', 'order.created', '1', { note: 'marker-old' })
  const { seq } = await until(async () => (await controller.parked())[0])
  const edit = { name: 'editAndRedrive', seq, data: { total: 7, note: 'marker-new' } }
  expect(await controller.control(edit)).toEqual({ status: 200, body: { count: 1 } })
  await until(() => seen.length === 1)
  expect(seen).toEqual([{ total: 7, note: 'marker-new' }])
  expect((await controller.control(edit)).status).toBe(422)
  expect(controller.audited()).toMatchObject([
    { command: 'editAndRedrive', result: 'done', seq, count: 1 },
    { command: 'editAndRedrive', result: 'refused', seq, code: 'COMMAND_INVALID' },
  ])
  expect(controller.log()).not.toContain('marker')
})

test('one that waits for a lock in this process is given back without an attempt, and comes again', async () => {
  const { ran, open, definition } = locking()
  await using controller = await operated(definition)
  await controller.enqueue('orders', 'order.created', 'first')
  await until(() => ran.includes('first'))
  for (const id of ['2', '3']) await controller.enqueue('orders', 'order.created', id)
  await until(async () => (await controller.status()).locks['ledger']?.waiting === 2)
  const one = { name: 'releaseWaiter', lock: 'ledger', source: 'orders', event: '2' }
  expect(await controller.control(one)).toEqual({ status: 200, body: { count: 1 } })
  const facts = () => controller.controller.status().then(({ sources }) => sources['orders'])
  await until(async () => (await facts())?.settled === 1)
  await until(async () => (await controller.status()).locks['ledger']?.waiting === 2)
  expect((await controller.control({ ...one, event: 'nobody' })).body).toEqual({ count: 0 })
  expect((await controller.control({ name: 'releaseWaiter', lock: 'legder' })).status).toBe(422)
  open()
  await until(() => ran.length === 3)
  expect([...ran].sort()).toEqual(['2', '3', 'first'])
  await until(async () => (await facts())?.inFlight === 0)
  expect(await controller.parked()).toEqual([])
})

test('those that wait in Postgres for a lock which another process holds are given back too', async () => {
  const { ran, definition } = locking()
  const holder = new Client({ connectionString: inject('databaseUrl') })
  await holder.connect()
  await using controller = await operated(definition)
  try {
    await holder.query('begin')
    await holder.query(`select pg_advisory_xact_lock(${controller.lockKey('ledger')})`)
    const inFlight = async () => (await controller.status()).sources['orders']?.inFlight
    const waiters = async () => (await controller.status()).locks['ledger']?.waiting
    const release = (event: string) => controller.control({ name: 'releaseWaiter', lock: 'ledger', event })
    await controller.enqueue('orders', 'order.created', '1')
    await until(async () => (await waiters()) === 1)
    for (const id of ['2', '3']) await controller.enqueue('orders', 'order.created', id)
    await until(async () => (await inFlight()) === 3)
    await controller.control({ name: 'pause', source: 'orders' })
    expect((await release('1')).body).toEqual({ count: 1 })
    await until(async () => (await inFlight()) === 2)
    // The other two wait together now, in one transaction; one of them leaves it.
    await until(async () => (await waiters()) === 1)
    expect((await release('2')).body).toEqual({ count: 1 })
    await until(async () => (await inFlight()) === 1)
    expect(ran).toEqual([])
    await holder.query('commit')
    await until(() => ran.length === 1)
    expect(ran).toEqual(['3'])
    await controller.control({ name: 'resume', source: 'orders' })
    await until(() => ran.length === 3)
  } finally {
    await holder.end()
  }
})
