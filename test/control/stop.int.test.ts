import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { Admin } from '@platformatic/kafka'
import { connect } from 'amqplib'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { defineController, kafka, on, poll, rabbitmq, tableQueue, unsigned, webhook } from '../../src/index.ts'
import { startController } from '../../src/library.ts'
import { createLog } from '../../src/log.ts'
import { proxied } from '../journal/proxied.ts'
import { freePort } from '../support/freePort.ts'
import { until } from '../support/until.ts'

const name = `stop_${randomBytes(4).toString('hex')}`
const brokers = inject('kafkaBrokers')
let database: Client
let admin: Admin

beforeAll(async () => {
  database = new Client({ connectionString: inject('databaseUrl') })
  await database.connect()
  await database.query(`create schema ${name}; create table ${name}.rows (id int primary key)`)
  admin = new Admin({ clientId: 'test', bootstrapBrokers: brokers.split(',') })
  await admin.createTopics({ topics: [name], partitions: 1, replicas: 1 })
})

afterAll(async () => {
  await database.query(`drop schema ${name}, ${name}_journal cascade`)
  await database.end()
  await admin.deleteTopics({ topics: [name] })
  await admin.close()
  const connection = await connect(inject('amqpUrl'))
  await (await connection.createChannel()).deleteQueue(name)
  await connection.close()
})

const post = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': 2 }
    request({ port, path: '/hook', method: 'POST', agent: false, headers }, (response) => {
      response.resume().once('close', () => resolve(response.statusCode ?? 0))
    })
      .on('error', reject)
      .end('{}')
  })

test('after a stop 0 sockets and 0 timers are left, and 0 connections at the broker and in Postgres', async () => {
  const postgres = await proxied(inject('databaseUrl'))
  const rabbit = await proxied(inject('amqpUrl'))
  const port = await freePort()
  const open = (): string[] =>
    process
      .getActiveResourcesInfo()
      .filter((kind) => /TCP|Timeout/.test(kind))
      .toSorted()
  // What the preparations have closed is gone, but for the two proxies and the clients of the test.
  const before = await until(() => {
    const kinds = open()
    const others = kinds.filter((kind) => kind !== 'TCPSocketWrap')
    return others.join() === 'TCPServerWrap,TCPServerWrap' ? kinds : undefined
  })
  const controller = await startController(
    defineController({
      sources: {
        table: tableQueue({ queue: name }),
        rows: poll({ table: `${name}.rows`, type: 'a', delete: true }),
        rabbit: rabbitmq({ queue: name, declare: true }),
        log: kafka({ topics: [name], groupId: name }),
        hook: webhook({ path: '/hook', type: 'a', signature: unsigned() }),
      },
      handlers: [on('a', { atomic: true }, () => undefined)],
    }),
    {
      log: createLog({ level: 'silent', format: 'json' }),
      folder: import.meta.dirname,
      environment: {
        DATABASE_URL: postgres.url,
        AMQP_URL: rabbit.url,
        KAFKA_BROKERS: brokers,
        KOKSMAT_JOURNAL_SCHEMA: `${name}_journal`,
        KOKSMAT_ADMIN_PORT: '0',
        PORT: String(port),
      },
    },
  )
  await until(() => controller.probes().ready, 30_000)
  const inPostgres = async (): Promise<number> => {
    const query = `select from pg_stat_activity where application_name like 'koksmat%:' || $1`
    return (await database.query(query, [process.pid])).rowCount ?? 0
  }
  expect(await post(port)).toBe(202)
  await database.query(`insert into ${name}.rows values (1)`)
  await until(async () => {
    const { sources } = await controller.status()
    return sources['hook']?.settled === 1 && sources['rows']?.settled === 1
  })
  expect([postgres.proxy.connections(), await inPostgres(), rabbit.proxy.connections()]).not.toContain(0)

  controller.drain('the test is over')
  expect(await controller.stopped).toMatchObject({ exitCode: 0 })
  // Sooner than what is idle would close by itself.
  await until(() => open().join() === before.join(), 4_000).catch((cause) => {
    throw new Error(`left: ${open()}; before: ${before}`, { cause })
  })
  expect([postgres.proxy.connections(), await inPostgres(), rabbit.proxy.connections()]).toEqual([0, 0, 0])
  await Promise.all([postgres.proxy.close(), rabbit.proxy.close()])
})
