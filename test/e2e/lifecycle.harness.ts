import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import { connect } from 'amqplib'
import { Pool } from 'pg'
import { inject } from 'vitest'
import { createKafkaPublisher } from '../../actors/kafka/publisher.ts'
import { createRabbitmqPublisher } from '../../actors/rabbitmq/publisher.ts'
import type { Status } from '../../src/status.ts'
import { freePort } from '../support/freePort.ts'
import { searchForSecrets } from '../support/leakedSecrets.ts'
import { createLedger, type Ledger } from '../support/oracle.ts'
import { type DrivenProcess, startProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const config = join(import.meta.dirname, 'fixture/controller.config.ts')

/** Tables, a queue and a topic of one's own; ways to send to each; and the controller of the fixture on top of them. */
export interface World extends AsyncDisposable {
  readonly name: string
  readonly database: Pool
  readonly ledger: Ledger
  /** Starts the controller and waits until it says that it has started: each source has answered. */
  start(env?: Readonly<Record<string, string>>): Promise<DrivenProcess>
  /** Starts the controller and waits for nothing. */
  spawn(env?: Readonly<Record<string, string>>): DrivenProcess
  /** Waits until every source of the running controller is up. */
  ready(): Promise<void>
  admin<Answer>(path: string, body?: object): Promise<Answer>
  readonly port: number
  readonly adminPort: number
  /** Sends one event through an entrance; resolves when that has confirmed it. */
  send(entrance: Entrance, id: string, sent?: Sent): Promise<unknown>
  /** Sends bytes as they are, without attributes of an event. */
  sendRaw(entrance: 'rabbit' | 'record', body: string | Uint8Array): Promise<unknown>
  /** Puts an event of this type into the table queue, or into the one that is polled each 4.5 s ± 10 % only. */
  enqueue(id: string, type: string, queue?: 'table' | 'seldom'): Promise<unknown>
  /** The HTTP status of a probe; 0 where nobody answers. */
  probe(path: '/livez' | '/readyz' | '/startupz'): Promise<number>
  /** Sends through these entrances (default: all five) until it is told to stop; resolves when the last one has been answered. */
  load(through?: readonly Entrance[]): { stop(): Promise<void> }
  /** True when nothing waits, is leased or in flight, and the counters of the product agree. */
  empty(): Promise<boolean>
  /** Messages in the RabbitMQ queue; once the controller is gone that includes what it had not acknowledged. */
  inRabbit(): Promise<number>
}

/** Where the servers are, when they are not those that all tests share. */
export interface Servers {
  readonly databaseUrl?: string
  readonly amqpUrl?: string
  readonly kafkaBrokers?: string
}

/** What is sent, when it is not the event that each entrance has a handler for. */
export interface Sent {
  readonly type?: string
  /** Added to the id, which the oracle looks for. */
  readonly data?: { readonly key?: string; readonly n?: number; readonly [name: string]: unknown }
}

export type Entrance = 'table' | 'row' | 'hook' | 'rabbit' | 'record'

/** Among these the events of a load are divided. */
const keys = 4

export const createWorld = async (servers: Servers = {}): Promise<World> => {
  const { databaseUrl = inject('databaseUrl'), amqpUrl = inject('amqpUrl') } = servers
  const { kafkaBrokers = inject('kafkaBrokers') } = servers
  const name = `life_${randomBytes(4).toString('hex')}`
  const journal = `${name}_journal`
  const brokers = kafkaBrokers.split(',')
  const [port, adminPort] = [await freePort(), await freePort()]
  const database = new Pool({ connectionString: databaseUrl, max: 4 })
  database.on('error', () => undefined)
  await database.query(`create schema ${name};
    create table ${name}.effects (id text primary key, key text, n bigint, seq bigint generated always as identity);
    create table ${name}.executions (id text, attempt integer, pid integer, at timestamptz default clock_timestamp());
    create table ${name}.rows (id text primary key, key text, n bigint, status text not null default 'new', type text default 'row.inserted');
    create table ${name}.weights (bytes bigint, at timestamptz default clock_timestamp());
    create table ${name}.mended (at timestamptz);`)
  const kafkaAdmin = new Admin({ clientId: 'test', bootstrapBrokers: brokers })
  await kafkaAdmin.createTopics({ topics: [name], partitions: 3, replicas: 1 })
  const rabbit = createRabbitmqPublisher(amqpUrl)
  const records = createKafkaPublisher(brokers)
  const ledger = createLedger()
  const controllers: DrivenProcess[] = []

  const attributes = (prefix: string, id: string, type: string) => ({
    [`${prefix}specversion`]: '1.0',
    [`${prefix}id`]: id,
    [`${prefix}source`]: 'test',
    [`${prefix}type`]: type,
  })
  const enqueue = (queue: string, id: string, { type = 'table.queued', data }: Sent = {}): Promise<unknown> =>
    database.query(`select ${journal}.enqueue($1, $2, $3::json, $4)`, [
      queue,
      type,
      JSON.stringify({ id, ...data }),
      id,
    ])
  const entrances: Readonly<Record<Entrance, (id: string, sent?: Sent) => Promise<unknown>>> = {
    table: (id, sent) => enqueue(name, id, sent),
    row: (id, { type = 'row.inserted', data = {} } = {}) =>
      database.query(`insert into ${name}.rows (id, type, key, n) values ($1, $2, $3, $4)`, [
        id,
        type,
        data.key,
        data.n,
      ]),
    hook: async (id, { type = 'hook.called', data } = {}) => {
      const headers = { 'content-type': 'application/json', 'x-id': id, 'x-type': type }
      const response = await fetch(`http://127.0.0.1:${port}/hook`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ id, ...data }),
        signal: AbortSignal.timeout(10_000),
      })
      await response.text()
      if (!response.ok) throw new Error(`answered ${response.status}`)
    },
    rabbit: (id, { type = 'rabbit.sent', data } = {}) =>
      rabbit.publish('', name, JSON.stringify({ id, ...data }), {
        messageId: id,
        headers: attributes('cloudEvents:', id, type),
      }),
    record: (id, { type = 'record.logged', data } = {}) =>
      records.publish(name, [
        {
          ...(data?.key === undefined ? {} : { key: data.key }),
          value: JSON.stringify({ id, ...data }),
          headers: { 'content-type': 'application/json', ...attributes('ce_', id, type) },
        },
      ]),
  }

  const told: NodeJS.ProcessEnv[] = []
  const searched = (text: string): string => {
    for (const env of told) searchForSecrets(env, text)
    return text
  }

  const admin = async <Answer>(path: string, body?: object): Promise<Answer> => {
    const init = body && { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const response = await fetch(`http://127.0.0.1:${adminPort}${path}`, init)
    const answer = searched(await response.text())
    if (!response.ok) throw new Error(`${path} answers ${response.status}: ${answer}`)
    return JSON.parse(answer) as Answer
  }

  const searchMetrics = async (): Promise<void> => {
    const response = await fetch(`http://127.0.0.1:${adminPort}/metrics`).catch(() => undefined)
    searched((await response?.text()) ?? '')
  }

  /** The errors that events have met with. */
  const searchJournal = async (): Promise<void> => {
    const { rows: tables } = await database.query(`select where to_regclass('${journal}.event') is not null`)
    if (tables.length === 0) return
    const { rows } = await database.query<{ history: string }>(
      `select history::text from ${journal}.event where history is not null`,
    )
    for (const { history } of rows) searched(history)
  }

  const says = async (probe: string, at: string | number = adminPort): Promise<boolean> => {
    const response = await fetch(`http://127.0.0.1:${at}${probe}`)
    const why = await response.text()
    if (!response.ok) throw new Error(why)
    return true
  }

  const spawn = (more: Readonly<Record<string, string>> = {}): DrivenProcess => {
    const env = {
      DATABASE_URL: databaseUrl,
      AMQP_URL: amqpUrl,
      KAFKA_BROKERS: kafkaBrokers,
      KOKSMAT_JOURNAL_SCHEMA: journal,
      KOKSMAT_ADMIN_PORT: String(adminPort),
      PORT: String(port),
      LIFECYCLE_NAME: name,
      LIFECYCLE_DATABASE_URL: databaseUrl,
      ...more,
    }
    const controller = startProcess([main, 'start', config], { env })
    told.push(env)
    controllers.push(controller)
    return controller
  }

  return {
    name,
    database,
    ledger,
    port,
    adminPort,
    send: (entrance, id, sent) => entrances[entrance](id, sent),
    sendRaw: (entrance, body) =>
      entrance === 'rabbit' ? rabbit.publish('', name, body) : records.publish(name, [{ value: Buffer.from(body) }]),
    enqueue: (id, type, queue = 'table') => enqueue(queue === 'table' ? name : `${name}_${queue}`, id, { type }),
    probe: async (path) => {
      const response = await fetch(`http://127.0.0.1:${adminPort}${path}`).catch(() => undefined)
      await response?.text()
      return response?.status ?? 0
    },
    admin,
    spawn,
    start: async (env = {}) => {
      const controller = spawn(env)
      await until(() => says('/startupz', env['KOKSMAT_ADMIN_PORT']), 30_000).catch((cause) => {
        throw new Error(`It did not start:\n${controller.output()}`, { cause })
      })
      return controller
    },
    ready: async () => {
      await until(() => says('/readyz'), 30_000)
      await searchMetrics()
    },
    load(through = ['table', 'row', 'hook', 'rabbit', 'record']) {
      let going = true
      const senders = through.map(async (entrance) => {
        for (let n = 1; going; n++) {
          const data = { key: `key-${n % keys}`, n }
          const place = String(ledger.attempted.size).padStart(7, '0')
          await ledger.send(`${entrance}-${place}-${n}`, (id) => entrances[entrance](id, { data }))
          await sleep(25)
        }
      })
      return {
        stop: async () => {
          going = false
          await Promise.all(senders)
        },
      }
    },
    async empty() {
      const { sources } = await admin<Status>('/status')
      const { rows } = await database.query(`select from ${journal}.event where state <> 'parked' limit 1`)
      const waiting = await database.query(`select from ${name}.rows where status = 'new' limit 1`)
      const facts = Object.values(sources)
      if (facts.some(({ accepted, settled, inFlight }) => accepted !== settled + inFlight)) return false
      return rows.length === 0 && waiting.rows.length === 0 && facts.every(({ inFlight }) => inFlight === 0)
    },
    async inRabbit() {
      const connection = await connect(amqpUrl)
      try {
        return (await (await connection.createChannel()).checkQueue(name)).messageCount
      } finally {
        await connection.close()
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(controllers.map((controller) => controller.end()))
      await searchJournal()
      await Promise.all([rabbit.close(), records.close()])
      const connection = await connect(amqpUrl)
      await (await connection.createChannel()).deleteQueue(name)
      await connection.close()
      await kafkaAdmin.deleteTopics({ topics: [name] })
      await kafkaAdmin.close()
      await database.query(`drop schema if exists ${name}, ${journal} cascade`)
      await database.end()
    },
  }
}
