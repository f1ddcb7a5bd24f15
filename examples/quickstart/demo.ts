import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { embeddedFolder } from '../../src/embedded/folder.ts'
import { findEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import type { Status } from '../../src/status.ts'

/** Sends one event of each kind to the quickstart that `npm start` runs, and prints what happened to each. */
const { PORT = '3000', KOKSMAT_ADMIN_PORT = '3001', DATABASE_URL } = process.env
const say = (line: string): void => void process.stdout.write(`${line}\n`)

const sources = async (): Promise<Status['sources']> => {
  const response = await fetch(`http://127.0.0.1:${KOKSMAT_ADMIN_PORT}/status`)
  return ((await response.json()) as Status).sources
}

const before = await sources().catch(() => undefined)
const url = DATABASE_URL || findEmbeddedPostgres(embeddedFolder(process.cwd()))
if (before === undefined || url === undefined) {
  say('Nothing runs here yet. Run `npm start` in another terminal first, from the same folder.')
  process.exit(1)
}

const database = new Client({ connectionString: url })
await database.connect()

const order = JSON.stringify({ customer: 'ada', total: 42 })
await database.query(`select koksmat.enqueue('orders', 'order.created', $1::json)`, [order])
say(`queue     select koksmat.enqueue('orders', 'order.created', '${order}')`)

await database.query('insert into demo.invoices (amount) values (42)')
say('database  insert into demo.invoices (amount) values (42)')

const body = JSON.stringify({ hello: 'world' })
const hook = await fetch(`http://127.0.0.1:${PORT}/hooks/demo`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body,
})
say(`webhook   POST /hooks/demo ${body} -> ${hook.status} ${(await hook.text()).trim()}`)
await database.end()

const settledSince = (now: Status['sources'], name: string): number =>
  (now[name]?.settled ?? 0) - (before[name]?.settled ?? 0)
const handledSince = (now: Status['sources'], name: string): number =>
  (now[name]?.results.done ?? 0) - (before[name]?.results.done ?? 0)

const names = ['orders', 'invoices', 'demo']
const deadline = performance.now() + 20_000
let now = await sources()
while (!names.every((name) => settledSince(now, name) > 0) && performance.now() < deadline) {
  await sleep(100)
  now = await sources()
}

say('')
for (const name of names) {
  const source = now[name]
  if (source === undefined) continue
  const outcome = handledSince(now, name) > 0 ? 'handled' : `not handled (source ${source.state})`
  say(`${source.kind.padEnd(8)}  ${name.padEnd(8)}  ${outcome}; parked ${source.parked}`)
}
process.exitCode = names.every((name) => handledSince(now, name) > 0) ? 0 : 1
