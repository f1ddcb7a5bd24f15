import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'amqplib'
import { Pool } from 'pg'
import { inject } from 'vitest'
import { createRabbitmqPublisher } from '../../../actors/rabbitmq/publisher.ts'
import { freePort } from '../../support/freePort.ts'
import { guarded } from '../../support/guarded.ts'
import { type DrivenProcess, startProcess } from '../../support/processDriver.ts'
import { type TcpProxy, tcpProxy } from '../../support/tcpProxy.ts'
import { until } from '../../support/until.ts'

const main = join(import.meta.dirname, '../../../src/main.ts')
const config = join(import.meta.dirname, 'controller.config.ts')

/** The controller of `controller.config.ts` as a process, and ways to bring it into trouble and out of it. */
export interface Shop extends AsyncDisposable {
  /** The address of its inspector. */
  readonly page: string
  /** The line to the broker of `orders`. */
  readonly broker: TcpProxy
  /** Starts it, also again, and waits until every source is up. */
  start(env?: Readonly<Record<string, string>>): Promise<DrivenProcess>
  order(id: string): Promise<void>
  enqueue(queue: 'payments' | 'reports', type: string, id: string, data?: object): Promise<void>
  /** Puts `stock.counted` events with these numbers into `payments`, all at once. */
  count(from: number, to: number): Promise<void>
  invoice(amount: number): Promise<void>
  hook(event: string, id: string): Promise<void>
  repair(service: 'bank' | 'archive'): void
  /** Ids of the payments that went through, each time they did. */
  paid(): readonly string[]
}

export const openShop = async (
  servers = { database: inject('databaseUrl'), amqp: inject('amqpUrl') },
): Promise<Shop> => {
  const name = `shop_${randomBytes(4).toString('hex')}`
  const home = guarded('shop')
  const { folder } = home
  const [port, adminPort] = [await freePort(), await freePort()]
  const database = new Pool({ connectionString: servers.database, max: 2 })
  await database.query(`create schema ${name};
    create table ${name}.invoices (id bigint generated always as identity primary key, amount int, status text default 'new');
    create table ${name}.ledger (invoice text primary key)`)
  const amqp = new URL(servers.amqp)
  const broker = await tcpProxy({ host: amqp.hostname, port: Number(amqp.port) })
  amqp.hostname = '127.0.0.1'
  amqp.port = String(broker.port)
  const publisher = createRabbitmqPublisher(servers.amqp)
  const controllers: DrivenProcess[] = []

  const ask = async (path: string): Promise<boolean> => (await fetch(`http://127.0.0.1:${adminPort}${path}`)).ok

  return {
    page: `http://127.0.0.1:${adminPort}/inspector/`,
    broker,
    start: async (env = {}) => {
      const controller = startProcess([main, 'start', config], {
        env: {
          DATABASE_URL: servers.database,
          AMQP_URL: String(amqp),
          KOKSMAT_JOURNAL_SCHEMA: `${name}_journal`,
          KOKSMAT_ADMIN_PORT: String(adminPort),
          PORT: String(port),
          SHOP_NAME: name,
          SHOP_FOLDER: folder,
          ...env,
        },
      })
      controllers.push(controller)
      await until(() => ask('/readyz'), 60_000).catch((cause) => {
        throw new Error(`It was never ready:\n${controller.output()}`, { cause })
      })
      return controller
    },
    order: (id) =>
      publisher.publish('', name, JSON.stringify({ id, total: 100 }), { messageId: id, type: 'order.placed' }),
    enqueue: async (queue, type, id, data = {}) => {
      const values = [queue, type, JSON.stringify(data), id]
      await database.query(`select ${name}_journal.enqueue($1, $2, $3, id => $4)`, values)
    },
    count: async (from, to) => {
      await database.query(
        `select count(${name}_journal.enqueue('payments', 'stock.counted', json_build_object('sku', 'needle-' || no),
           id => 'stock-' || no)) from generate_series($1::int, $2::int) no`,
        [from, to],
      )
    },
    invoice: async (amount) =>
      void (await database.query(`insert into ${name}.invoices (amount) values ($1)`, [amount])),
    hook: async (event, id) => {
      const headers = { 'content-type': 'application/json', 'x-github-event': event, 'x-id': id }
      const answer = await fetch(`http://127.0.0.1:${port}/hooks/github`, { method: 'POST', headers, body: '{}' })
      await answer.text()
      if (!answer.ok) throw new Error(`answered ${answer.status}`)
    },
    repair: (service) => writeFileSync(join(folder, service), ''),
    paid: () => readFileSync(join(folder, 'paid'), 'utf8').split('\n').slice(0, -1),
    async [Symbol.asyncDispose]() {
      await Promise.all(controllers.map((controller) => controller.end()))
      await publisher.close()
      await broker.close()
      const connection = await connect(servers.amqp)
      await (await connection.createChannel()).deleteQueue(name)
      await connection.close()
      await database.query(`drop schema if exists ${name}, ${name}_journal cascade`)
      await database.end()
      await home.end()
    },
  }
}
