import { afterEach, beforeEach, expect, test } from 'vitest'
import { createTableQueueDriver, type TableQueueOptions } from '../../actors/tableQueue.ts'
import type { Delivery, Driver, DriverHost, Link, Settlement } from '../../machines/driver.ts'
import type { ControllerError } from '../../machines/errors.ts'
import { type Replica, useJournals } from '../journal/journals.ts'
import { proxied } from '../journal/proxied.ts'
import { until } from '../support/until.ts'

const journals = useJournals()
const never = { min: 3_600_000, max: 3_600_000 }
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const links: Link[] = []

let replica: Replica
beforeEach(async () => {
  replica = await journals().open()
})
afterEach(async () => {
  await Promise.all(links.splice(0).map((link) => link.disconnect()))
})

/** A link under the hand of a test, and all that came through it. */
const connect = async (
  over: Partial<TableQueueOptions> & { events?: number; bytes?: number; through?: Replica; driver?: Driver } = {},
) => {
  const { events = 100, bytes = 64_000_000, through = replica, driver, ...options } = over
  const used = driver ?? createTableQueueDriver({ queue: 'orders', pollMs: never, ...options }, through.intake)
  const batches: (readonly Delivery[])[] = []
  const lost: ControllerError[] = []
  const host: DriverHost = {
    source: 'shop',
    credit: { events, bytes },
    log: quiet,
    deliver: (batch) => void batches.push(batch),
    lost: (error) => void lost.push(error),
    gauge: () => {},
    count: () => {},
  }
  const link = await used.connect(host)
  links.push(link)
  const delivered = (): Delivery[] => batches.flat()
  /** Settles in the journal and then with the driver, as jobs and source do. */
  const settle = async (deliveries: readonly Delivery[]): Promise<void> => {
    await through.ledger.settle(
      deliveries.map(({ event, row }) => ({ as: 'done', event, ...(row === undefined ? {} : { row }) })),
    )
    link.settle(deliveries.map(({ receipt }): Settlement => ({ receipt, outcome: 'ack' })))
  }
  return { link, batches, lost, delivered, settle }
}

const enqueue = (count: number, over = ''): Promise<unknown> =>
  journals().sql(`select S.enqueue('orders', 'order.created', to_json(n) ${over}) from generate_series(1, ${count}) n`)

test('nothing is claimed before consume, then what waits is delivered in its order', async () => {
  await enqueue(3)
  const { link, delivered } = await connect()
  expect(await journals().states()).toEqual({ ready: 3 })
  await link.consume()
  await until(() => delivered().length === 3)
  expect(delivered().map(({ event }) => event.data)).toEqual([1, 2, 3])
  expect(delivered()[0]).toMatchObject({
    event: { kind: 'queue.event', via: 'shop', source: 'koksmat:orders' },
    row: { attempts: 0 },
    redelivered: false,
  })
})

test('never more are unsettled than the credit, and credit that comes back is used at once', async () => {
  await enqueue(50)
  const { link, delivered, settle, batches } = await connect({ events: 8 })
  await link.consume()
  let settled = 0
  while (settled < 50) {
    await until(() => delivered().length > settled)
    expect(delivered().length - settled).toBeLessThanOrEqual(8)
    const next = delivered().slice(settled, settled + 3)
    await settle(next)
    settled += next.length
  }
  expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(8)
  expect(await journals().states()).toEqual({})
})

test('pages shrink with the size of the events, and one that is larger than the credit still comes', async () => {
  await journals().sql(
    `select S.enqueue('orders', 'order.created', to_json(repeat('x', 10_000))) from generate_series(1, 30)`,
  )
  const { link, delivered, settle, batches } = await connect({ bytes: 40_000 })
  await link.consume()
  let settled = 0
  while (settled < 30) {
    await until(() => delivered().length > settled)
    const next = delivered().slice(settled)
    expect(next.length).toBeLessThanOrEqual(4)
    await settle(next)
    settled += next.length
  }
  expect(batches[0]).toHaveLength(1)
  await link.disconnect()
  await enqueue(1)
  const narrow = await connect({ bytes: 1 })
  await narrow.link.consume()
  await until(() => narrow.delivered().length === 1)
})

test('an enqueued event wakes the queue without a poll, one with a delay when it falls due', async () => {
  const { link, delivered } = await connect()
  await link.consume()
  await until(async () => (await journals().sql(`select from S.replica where session`)).length === 1)
  await enqueue(1)
  await until(() => delivered().length === 1)
  await enqueue(1, `, delay => '200 ms'`)
  await until(() => delivered().length === 2)
})

test('without any NOTIFY polling finds what is there', async () => {
  const { link, delivered } = await connect({ pollMs: { min: 50, max: 200 } })
  await link.consume()
  await journals().sql(
    `insert into S.event (queue, via, kind, ce_source, id, type) values ('orders', 'orders', 'queue.event', 's', '1', 't')`,
  )
  await until(() => delivered().length === 1)
})

test('paused it claims nothing, resumed it goes on; both may be said twice', async () => {
  const { link, delivered } = await connect()
  await link.consume()
  link.pause()
  link.pause()
  await enqueue(2)
  await replica.enqueue('orders', { type: 'order.created', data: 3 })
  await until(async () => (await journals().states())['ready'] === 3)
  expect(delivered()).toEqual([])
  link.resume()
  link.resume()
  await until(() => delivered().length === 3)
})

test('after cancel nothing is delivered, what was claimed can still be settled', async () => {
  await enqueue(2)
  const { link, delivered, settle } = await connect({ events: 1 })
  await link.consume()
  await until(() => delivered().length === 1)
  await link.cancel()
  await settle(delivered())
  expect(await journals().states()).toEqual({ ready: 1 })
  expect(delivered()).toHaveLength(1)
})

test('a page that was being claimed is delivered before cancel resolves, so no lease is forgotten', async () => {
  await enqueue(5)
  const { link, delivered } = await connect()
  await link.consume()
  await link.cancel()
  expect(await journals().states()).toEqual({
    leased: delivered().length,
    ...(delivered().length < 5 ? { ready: 5 } : {}),
  })
})

test('two replicas share a queue, and each event is delivered once', async () => {
  const other = await journals().open()
  await enqueue(400)
  const both = await Promise.all([connect({ events: 20 }), connect({ events: 20, through: other })])
  const all = new Set<string>()
  await Promise.all(both.map(({ link }) => link.consume()))
  const working = both.map(async ({ delivered, settle }) => {
    let settled = 0
    while (all.size < 400) {
      await until(() => delivered().length > settled || all.size >= 400)
      const next = delivered().slice(settled)
      for (const { event } of next) {
        expect(all.has(event.id)).toBe(false)
        all.add(event.id)
      }
      await settle(next)
      settled += next.length
    }
  })
  await Promise.all(working)
  expect(all.size).toBe(400)
})

test('when the journal is gone it is lost once, and a new link goes on', async () => {
  const { open, url } = journals()
  const { proxy, ...line } = await proxied(url)
  const through = await open(line)
  const first = await connect({ through, pollMs: { min: 20, max: 20 } })
  await first.link.consume()
  proxy.refuse()
  proxy.reset()
  await until(() => first.lost.length > 0)
  await expect(connect({ through })).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' })
  proxy.heal()
  await enqueue(1)
  const second = await until(() => connect({ through }))
  await second.link.consume()
  await until(() => second.delivered().length === 1)
  expect(first.lost).toMatchObject([{ code: 'JOURNAL_UNAVAILABLE' }])
  expect(first.delivered()).toEqual([])
  await through.close()
  await proxy.close()
})

test('a receipt of an earlier link gives no credit', async () => {
  await enqueue(3)
  const driver = createTableQueueDriver({ queue: 'orders', pollMs: never }, replica.intake)
  const first = await connect({ events: 1, driver })
  await first.link.consume()
  await until(() => first.delivered().length === 1)
  await first.link.disconnect()
  const second = await connect({ events: 1, driver })
  await second.link.consume()
  await until(() => second.delivered().length === 1)
  second.link.settle(first.delivered().map(({ receipt }) => ({ receipt, outcome: 'ack' })))
  await replica.intake.claim('orders', 0)
  expect(second.delivered()).toHaveLength(1)
})

test('disconnect is legal at any time, and leaves no timer', async () => {
  const { link } = await connect({ pollMs: { min: 10, max: 10 } })
  await link.disconnect()
  await link.disconnect()
  const consuming = await connect({ pollMs: { min: 10, max: 10 } })
  await consuming.link.consume()
  await consuming.link.disconnect()
  await consuming.link.disconnect()
  consuming.link.resume()
  await enqueue(1)
  await replica.intake.claim('orders', 0)
  expect(consuming.delivered()).toEqual([])
})

test('events of the journal keep the source and kind they came with', async () => {
  const { link, delivered } = await connect({ queue: 'journal' })
  await link.consume()
  await replica.ledger.settle([
    {
      as: 'move',
      event: { id: '1', source: 's', type: 't', data: 1, kind: 'webhook.event', via: 'github', identified: true },
      queue: 'journal',
    },
  ])
  await until(() => delivered().length === 1)
  expect(delivered()[0]?.event).toMatchObject({ via: 'github', kind: 'webhook.event' })
})
