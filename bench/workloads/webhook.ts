import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Request } from 'express'
import pg from 'pg'
import { createWebhookServer, type WebhookServer } from '../../actors/webhook/server.ts'
import { github } from '../../actors/webhook/signatures/hmac.ts'
import { createWebhookDriver } from '../../actors/webhook.ts'
import { createLog } from '../../src/log.ts'
import { atHalfLoad, closing } from '../support/halfLoad.ts'
import { openBenchJournal } from '../support/journal.ts'
import { openSender } from '../support/sender.ts'
import { addressOf } from '../support/servers.ts'
import { handlerOf, walk } from '../support/walk.ts'
import type { OpenSide, Side, Workload } from '../workload.ts'

const path = '/hooks/bench'
const secret = 'bench-secret-of-24-bytes-'
const connections = 64
const log = createLog({ level: 'silent', format: 'json' })

const options = { path, method: 'POST', signature: github(secret), type: 'bench.event', reply: 'accepted' } as const
const limits = { maxBodyBytes: 65_536, timeoutMs: 10_000 }

const controller: OpenSide = async (events) => {
  const { journal, close, client, schema } = await openBenchJournal()
  const handlers = [handlerOf(async () => undefined)]
  const server = createWebhookServer({ host: '127.0.0.1', port: 0, log })
  const sender = await openSender()
  return {
    prepare: async () => {
      await client.query(`truncate ${schema}.event, ${schema}.seen`)
      const driver = createWebhookDriver({ ...options, ...limits }, { server, intake: journal.intake })
      const root = walk({ driver, handlers, ledger: journal.ledger, events })
      const settled = root.go()
      const port = await portOf(server)
      const send = await sender.ready({ path, secret, requests: events, connections })
      return {
        go: async () => {
          const latency = await send(port)
          await settled
          return latency
        },
        end: root.end,
      }
    },
    close: closing({ close }, sender),
  }
}

const portOf = async (server: WebhookServer): Promise<number> => {
  while (server.address() === undefined) await new Promise(setImmediate)
  return (server.address() as AddressInfo).port
}

interface Store {
  (row: Row): Promise<unknown>
  /** Resolves when nothing is left to do. */
  idle?(): Promise<unknown>
}

interface Row {
  readonly id: string
  readonly data: string
}

/** What one would write by hand: Express, raw body, HMAC, an insert, 202. */
const expressSide =
  (storeOf: (pool: pg.Pool, table: string) => Store): OpenSide =>
  async (events): Promise<Side> => {
    const pool = new pg.Pool({ connectionString: addressOf('postgres'), max: 10 })
    const table = `bench_${randomUUID().slice(0, 8)}`
    await pool.query(`create table ${table} (id text primary key, data json, accepted_at timestamptz default now());
      create table ${table}_seen (id text primary key, until timestamptz)`)
    const store = storeOf(pool, table)
    const app = express()
    app.post(path, express.raw({ type: 'application/json' }), async (request, response) => {
      const body: Buffer = request.body
      if (!isSigned(request, body)) return void response.status(401).end()
      const id = request.get('x-github-delivery') ?? randomUUID()
      const data = body.toString()
      JSON.parse(data)
      await store({ id, data })
      response.status(202).json({ id })
    })
    const server: Server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const sender = await openSender()
    return {
      prepare: async () => {
        await pool.query(`truncate ${table}, ${table}_seen`)
        const send = await sender.ready({ path, secret, requests: events, connections })
        return {
          go: async () => {
            const latency = await send(port)
            await store.idle?.()
            return latency
          },
          end: async () => undefined,
        }
      },
      close: async () => {
        await sender.close()
        server.close()
        server.closeAllConnections()
        await pool.query(`drop table ${table}, ${table}_seen`)
        await pool.end()
      },
    }
  }

const isSigned = (request: Request, body: Buffer): boolean => {
  const expected = Buffer.from(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`)
  const given = Buffer.from(request.get('x-hub-signature-256') ?? '')
  return expected.length === given.length && timingSafeEqual(expected, given)
}

/** A group forms while the one before it is under way. */
const inGroups = (store: (rows: readonly Row[]) => Promise<unknown>): Store => {
  let waiting: { row: Row; done: PromiseWithResolvers<void> }[] = []
  let isUnderWay = false
  const flush = async (): Promise<void> => {
    isUnderWay = true
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      await store(group.map(({ row }) => row))
      for (const { done } of group) done.resolve()
    }
    isUnderWay = false
  }
  return (row) => {
    const done = Promise.withResolvers<void>()
    waiting.push({ row, done })
    if (!isUnderWay) void flush()
    return done.promise
  }
}

const grouping = (pool: pg.Pool, table: string): Store =>
  inGroups((rows) =>
    pool.query(`insert into ${table} (id, data) select * from unnest($1::text[], $2::json[]) on conflict do nothing`, [
      rows.map(({ id }) => id),
      rows.map(({ data }) => data),
    ]),
  )

/** The same durable steps as the controller: once handled, a row is deleted and its id remembered, in groups as well. */
const settling = (pool: pg.Pool, table: string): Store => {
  const accept = grouping(pool, table)
  const settle = inGroups((rows) =>
    pool.query(
      `with gone as (delete from ${table} where id = any($1::text[]) returning id)
       insert into ${table}_seen (id, until) select id, now() + interval '7 days' from gone on conflict do nothing`,
      [rows.map(({ id }) => id)],
    ),
  )
  let last: Promise<unknown> = Promise.resolve()
  const store: Store = async (row) => {
    await accept(row)
    last = settle(row)
  }
  store.idle = () => last
  return store
}

const oneByOne =
  (pool: pg.Pool, table: string): Store =>
  ({ id, data }) =>
    pool.query(`insert into ${table} (id, data) values ($1, $2) on conflict do nothing`, [id, data])

export const webhook: Workload = {
  name: 'webhook',
  about:
    'signed webhooks, durable before their 202 and then handled, against Express with grouped inserts and no handling, and Express that takes all the same steps',
  events: 20_000,
  servers: ['postgres'],
  goals: [{ share: 0.8 }, { share: 0.9 }, { p99Ms: 50 }],
  sides: {
    controller,
    bare: expressSide(grouping),
    'the same steps by hand': expressSide(settling),
    'express, an insert each': expressSide(oneByOne),
  },
}

export const webhookHalf: Workload = {
  name: 'webhookHalf',
  about: 'signed webhooks at half load: from the moment a request is due to the settlement of its event',
  events: 10_000,
  servers: ['postgres'],
  goals: [],
  sides: {
    controller: atHalfLoad(async () => {
      const { journal, close } = await openBenchJournal()
      const server = createWebhookServer({ host: '127.0.0.1', port: 0, log })
      const sender = await openSender()
      return {
        ledger: journal.ledger,
        driver: () => createWebhookDriver({ ...options, ...limits }, { server, intake: journal.intake }),
        send: async (requests, perSecond) => {
          const pace = perSecond === undefined ? {} : { perSecond }
          const send = await sender.ready({ path, secret, requests, connections, timed: true, ...pace })
          await send(await portOf(server))
        },
        close: closing({ close }, sender),
      }
    }),
  },
}
