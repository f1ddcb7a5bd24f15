import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import type { SourceStatus } from '../../src/status.ts'
import { freePort } from '../support/freePort.ts'
import { startProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'

const root = join(import.meta.dirname, '../..')
const schema = `lib_${randomBytes(4).toString('hex')}`
let database: Client
let folder: string

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'koksmat-library-'))
  database = new Client({ connectionString: inject('databaseUrl') })
  await database.connect()
})
afterEach(async () => {
  await database.query(`drop schema if exists ${schema} cascade`)
  await database.end()
  rmSync(folder, { recursive: true, force: true })
})

const settings = async () => ({
  DATABASE_URL: inject('databaseUrl'),
  KOKSMAT_JOURNAL_SCHEMA: schema,
  KOKSMAT_ADMIN_PORT: String(await freePort()),
  PORT: String(await freePort()),
  WEB_PORT: String(await freePort()),
})

test('a controller inside a program handles events, and a shutdown drains it before the program ends', async () => {
  const env = await settings()
  await using program = startProcess([join(root, 'examples/embedded/main.ts')], { cwd: folder, env })
  const ask = async (): Promise<{ state: string; orders: SourceStatus }> => {
    const response = await fetch(`http://127.0.0.1:${env.WEB_PORT}`)
    return (await response.json()) as { state: string; orders: SourceStatus }
  }
  await until(async () => (await ask()).state === 'running', 30_000)
  await database.query(`select ${schema}.enqueue('orders', 'order.created', '{"order": 1}', id => 'o-1')`)
  await until(async () => (await ask()).orders.settled === 1, 30_000)
  expect(program.log()).toContainEqual(expect.objectContaining({ msg: 'order handled', id: 'o-1' }))

  program.signal('SIGTERM')
  expect(await program.exit).toEqual({ code: 0, signal: null })
  expect(program.log().at(-1)).toMatchObject({ msg: 'drained', clean: true, reason: 'asked for by the program' })
})

test('a controller inside a program listens to no signals, and is not started by a wrong configuration', async () => {
  const program = `
    import { defineController, startController, tableQueue } from ${JSON.stringify(join(root, 'src/index.ts'))}
    const wrong = defineController({ sources: { orders: tableQueue({ queue: 'orders', credit: 0 }) }, handlers: [] })
    const refused = await startController(wrong).catch((error) => error.code)
    const signal = AbortSignal.abort()
    const right = defineController({ sources: { orders: tableQueue({ queue: 'orders' }) }, handlers: [] })
    const { stopped } = await startController(right, { signal })
    const listeners = process.listenerCount('SIGTERM') + process.listenerCount('uncaughtException')
    const { report } = await stopped
    process.stdout.write(JSON.stringify({ refused, listeners, clean: report.clean }) + '\\n')`
  await using child = startProcess(['--input-type=module', '--eval', program], { cwd: folder, env: await settings() })
  expect(await child.exit, child.output()).toEqual({ code: 0, signal: null })
  expect(child.log()).toContainEqual({ refused: 'CONFIG_INVALID', listeners: 0, clean: true })
})
