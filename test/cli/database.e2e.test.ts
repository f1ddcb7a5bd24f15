import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, inject, it } from 'vitest'
import { github } from '../../actors/webhook/signatures/hmac.ts'
import { startProcess } from '../support/processDriver.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const index = join(import.meta.dirname, '../../src/index.ts')
const schema = `cli_${randomBytes(4).toString('hex')}`
let folder: string
let database: Client

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'koksmat-cli-'))
  writeFileSync(
    join(folder, 'controller.config.ts'),
    `import { defineController, tableQueue, unsigned, webhook } from ${JSON.stringify(index)}
    export default defineController({
      sources: { orders: tableQueue({ queue: 'orders' }), hook: webhook({ path: '/in', type: 'x', signature: unsigned() }) },
      handlers: [],
    })`,
  )
  database = new Client({ connectionString: inject('databaseUrl') })
  await database.connect()
})
afterEach(async () => {
  await database.query(`drop schema if exists ${schema} cascade`)
  await database.end()
  rmSync(folder, { recursive: true, force: true })
})

const run = async (args: readonly string[], env: Record<string, string> = {}) => {
  const settings = { DATABASE_URL: inject('databaseUrl'), KOKSMAT_JOURNAL_SCHEMA: schema, ...env }
  await using child = startProcess([main, ...args], { cwd: folder, env: settings })
  const { code } = await child.exit
  return { code, output: child.output() }
}

it('migrate makes the schema, and says so when there is nothing to do', async () => {
  const first = await run(['migrate', '--json'])
  expect(JSON.parse(first.output)).toMatchObject({ schema, from: 0 })
  const again = await run(['migrate'])
  expect(again).toMatchObject({ code: 0, output: expect.stringContaining('already') })
})

it('send puts an event with its type, key and id into a table queue', async () => {
  await run(['migrate'])
  const args = ['send', 'orders', '{"order":1}', '--type', 'order.created', '--key', 'ada', '--id', 'o-1']
  const { code, output } = await run(args)
  expect(output).toContain('Sent o-1 to table queue orders')
  expect(code).toBe(0)
  const { rows } = await database.query(`select queue, type, id, data from ${schema}.event`)
  expect(rows).toEqual([{ queue: 'orders', type: 'order.created', id: 'o-1', data: { order: 1 } }])
})

it('send reaches a webhook as a CloudEvent over HTTP, with the headers asked for', async () => {
  const seen: unknown[] = []
  const server = createServer((request, response) => {
    const { method, url, headers } = request
    request.on('data', (chunk) =>
      seen.push({ method, url, type: headers['ce-type'], sign: headers['x-sign'], body: `${chunk}` }),
    )
    request.on('end', () => response.writeHead(202, { 'content-type': 'application/json' }).end('{"id":"1"}'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const env = { PORT: String((server.address() as AddressInfo).port) }
    const args = ['send', 'hook', '{"a":1}', '--type', 'hello', '--header', 'x-sign: yes', '--json']
    const { code, output } = await run(args, env)
    expect(JSON.parse(output)).toMatchObject({ source: 'hook', answer: { id: '1' } })
    expect(code).toBe(0)
    expect(seen).toEqual([{ method: 'POST', url: '/in', type: 'hello', sign: 'yes', body: '{"a":1}' }])
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

it('send signs a webhook with its first secret, and says what is wrong where the signature is refused', async () => {
  const secret = 'the first of two live secrets'
  writeFileSync(
    join(folder, 'controller.config.ts'),
    `import { defineController, env, github, webhook } from ${JSON.stringify(index)}
    export default defineController({
      sources: { hook: webhook({ path: '/in', type: 'x', signature: github([env('FIRST'), env('SECOND')]) }) },
      handlers: [],
    })`,
  )
  const scheme = github(secret)
  const server = createServer((request, response) => {
    request.on('data', (chunk) => {
      const verdict = scheme.verify(request.rawHeaders, chunk, 0)
      response.writeHead(verdict.ok ? 202 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(verdict))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const PORT = String((server.address() as AddressInfo).port)
    const second = 'the second of two live secrets'
    const good = await run(['send', 'hook', '{"a":1}', '--json'], { PORT, FIRST: secret, SECOND: second })
    expect(JSON.parse(good.output)).toMatchObject({ answer: { ok: true, id: expect.any(String) } })
    const other = await run(['send', 'hook', '{"a":1}', '--json'], { PORT, FIRST: second, SECOND: secret })
    expect(JSON.parse(other.output)).toMatchObject({ error: { code: 'SIGNATURE_INVALID' } })
    expect(other.output).not.toContain(second)
    expect(other.code).toBe(1)
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

it('a database that is away is a failure with a code, and no password is shown', async () => {
  const { code, output } = await run(['migrate', '--json'], { DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/x' })
  expect(code).toBe(1)
  expect(JSON.parse(output)).toMatchObject({ error: { code: 'JOURNAL_UNAVAILABLE' } })
  expect(output).not.toContain('hunter2')
})
