import { randomBytes } from 'node:crypto'
import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import type { Delivery } from '../../machines/driver.ts'
import { createJournal, type Journal } from '../../src/journal/journal.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { until } from '../support/until.ts'
import { type Started, type StartOptions, sign, silent, startWebhook } from './webhook.support.ts'

/** Webhooks on the real journal: durable before the 202, known again by id, and a quick 503 when it does not answer. */

const schema = `webhook_${randomBytes(5).toString('hex')}`
const pool = new Pool({ connectionString: inject('databaseUrl') })
const started: Started[] = []
let journal: Journal

const journalAt = (url: string): Journal =>
  createJournal({
    url,
    schema,
    migrate: true,
    version: '1',
    replicaName: 'test',
    log: silent,
    poolSize: 4,
    onHealth: () => {},
  })

beforeAll(async () => {
  journal = journalAt(inject('databaseUrl'))
  await journal.open()
})
afterEach(async () => {
  await Promise.all(started.splice(0).map(({ link }) => link.disconnect()))
})
afterAll(async () => {
  await journal.close()
  await pool.query(`drop schema ${schema} cascade`)
  await pool.end()
})

const start = async (options: StartOptions = {}, on: Journal = journal): Promise<Started> => {
  const webhook = await startWebhook({ source: `w_${randomBytes(5).toString('hex')}`, ...options, journal: on.intake })
  started.push(webhook)
  return webhook
}

interface Row {
  readonly id: string
  readonly state: string
  readonly lease_by: string | null
  readonly data: string
}
const rowsOf = async ({ source }: Started): Promise<Row[]> => {
  const query = `select id, state, lease_by::text, data::text from ${schema}.event where via = $1 order by seq`
  return (await pool.query<Row>(query, [source])).rows
}

const settle = async (webhook: Started, deliveries: readonly Delivery[]): Promise<void> => {
  await journal.ledger.settle(
    deliveries.map(({ event, row }) => ({ as: 'done', event, ...(row === undefined ? {} : { row }), keepMs: 60_000 })),
  )
  webhook.link.settle(deliveries.map(({ receipt }) => ({ receipt, outcome: 'ack' })))
}

test('a 202 is given for a row that is committed and leased to this replica, with the payload verbatim', async () => {
  const webhook = await start({ id: 'x-id' })
  const response = await webhook.post('{ "n": 1.00 }', { headers: { 'x-id': 'a' } })
  expect(response.status).toBe(202)
  expect(await rowsOf(webhook)).toEqual([
    { id: 'a', state: 'leased', lease_by: journal.intake.replica(), data: '{ "n": 1.00 }' },
  ])
  await settle(webhook, webhook.deliveries())
  expect(await rowsOf(webhook)).toEqual([])
})

test('an id is one event: sent ten times at once, again while it is handled, and again after it was settled', async () => {
  const webhook = await start({ id: 'x-id' })
  const send = async (): Promise<number> => (await webhook.post('{}', { headers: { 'x-id': 'same' } })).status
  const statuses = await Promise.all(Array.from({ length: 10 }, send))
  expect(statuses.toSorted()).toEqual([...Array.from({ length: 9 }, () => 200), 202])
  expect(await send()).toBe(200)
  await settle(webhook, webhook.deliveries())
  expect(await send()).toBe(200)
  expect(webhook.deliveries()).toHaveLength(1)
})

test('under load every 202 is one row and one delivery, and nothing else is', async () => {
  const webhook = await start({ credit: 64, id: 'x-id' })
  const settling = setInterval(() => {
    const ready = webhook.deliveries().slice(settled)
    settled += ready.length
    settle(webhook, ready).catch(() => {})
  }, 5)
  let settled = 0
  const accepted = new Set<string>()
  const sendAll = async (sender: number): Promise<void> => {
    for (let n = 0; n < 50; n++) {
      const id = `${sender}-${n}`
      const response = await webhook.post(`{"n":${n}}`, { headers: { 'x-id': id } })
      if (response.status === 202) accepted.add(id)
      else expect(response.status).toBe(503)
      await response.arrayBuffer()
    }
  }
  await Promise.all(Array.from({ length: 16 }, (_, sender) => sendAll(sender)))
  await until(() => settled === webhook.deliveries().length)
  clearInterval(settling)
  expect(new Set(webhook.deliveries().map(({ event }) => event.id))).toEqual(accepted)
  expect(webhook.deliveries()).toHaveLength(accepted.size)
  expect(accepted.size).toBeGreaterThan(100)
  await until(async () => (await rowsOf(webhook)).length === 0)
})

test('the longest attributes that are taken can be stored', async () => {
  const webhook = await start()
  const noise = (bytes: number): string => randomBytes(bytes).toString('base64url').slice(0, bytes)
  const event = {
    specversion: '1.0',
    id: noise(512),
    source: noise(1_024),
    type: noise(256),
    subject: noise(1_024),
    partitionkey: noise(1_024),
    data: { text: 'a NUL \u0000 and half a pair \ud800' },
  }
  const body = JSON.stringify(event)
  const headers = { 'content-type': 'application/cloudevents+json', 'x-signature': sign(body) }
  const response = await webhook.post(body, { headers })
  expect(response.status).toBe(202)
  expect(await rowsOf(webhook)).toHaveLength(1)
})

test('a database that does not answer gives 503 within 2.5 s, and 202 again soon after it does', async () => {
  const { hostname, port } = new URL(inject('databaseUrl'))
  const proxy = await tcpProxy({ host: hostname, port: Number(port) })
  const url = Object.assign(new URL(inject('databaseUrl')), { hostname: '127.0.0.1', port: String(proxy.port) }).href
  const frozen = journalAt(url)
  try {
    await frozen.open()
    const webhook = await start({}, frozen)
    expect((await webhook.post('{}')).status).toBe(202)
    proxy.blackHole()
    const at = performance.now()
    const responses = await Promise.all([webhook.post('{"n":1}'), webhook.post('{"n":2}')])
    expect(performance.now() - at).toBeLessThan(2_500)
    for (const response of responses) {
      expect(response.status).toBe(503)
      expect(response.headers.get('connection')).toBe('close')
    }
    expect(webhook.deliveries()).toHaveLength(1)
    proxy.heal()
    await until(async () => (await webhook.post('{"n":3}')).status === 202, 15_000)
  } finally {
    await Promise.all(started.splice(0).map(({ link }) => link.disconnect()))
    await frozen.close()
    await proxy.close()
  }
})
