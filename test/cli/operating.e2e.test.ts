import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, expect, inject, it } from 'vitest'
import { freePort } from '../support/freePort.ts'
import { startProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'

const root = join(import.meta.dirname, '../..')
const main = join(root, 'src/main.ts')
const quickstart = join(root, 'examples/quickstart/controller.config.ts')
const schema = `cli_${randomBytes(4).toString('hex')}`
const [operate, read] = ['operate-'.repeat(4), 'read----'.repeat(4)]

afterEach(async () => {
  const database = new Client({ connectionString: inject('databaseUrl') })
  await database.connect()
  await database.query(`drop schema if exists ${schema}, demo cascade`)
  await database.end()
})

it('the command line steers a running controller with the operate token, and only looks with the other', async () => {
  const env = {
    DATABASE_URL: inject('databaseUrl'),
    KOKSMAT_JOURNAL_SCHEMA: schema,
    KOKSMAT_ADMIN_PORT: String(await freePort()),
    PORT: String(await freePort()),
    KOKSMAT_INSPECTOR_TOKEN: operate,
    KOKSMAT_INSPECTOR_TOKEN_READ: read,
  }
  await using controller = startProcess([main, 'start', quickstart], { env })
  const probe = () => fetch(`http://127.0.0.1:${env.KOKSMAT_ADMIN_PORT}/readyz`).catch(() => undefined)
  await until(async () => (await probe())?.ok, 30_000)
  const as = (tokens: object) => async (line: string) => {
    await using child = startProcess([main, ...line.split(' ')], { env: { ...env, ...tokens } })
    const { code } = await child.exit
    return { code, output: child.output() }
  }
  const operator = as({})
  const reader = as({ KOKSMAT_INSPECTOR_TOKEN: undefined })
  const stranger = as({ KOKSMAT_INSPECTOR_TOKEN: undefined, KOKSMAT_INSPECTOR_TOKEN_READ: undefined })
  const stateOf = async (source: string) => JSON.parse((await reader('status --json')).output).sources[source]

  expect(await operator('pause orders')).toMatchObject({
    code: 0,
    output: expect.stringContaining('takes nothing new'),
  })
  expect(await stateOf('orders')).toMatchObject({ state: 'paused' })
  expect(await operator('credit orders 7')).toMatchObject({ code: 0, output: expect.stringContaining('7 events') })
  expect(await operator('resume orders')).toMatchObject({ code: 0 })
  expect(await stateOf('orders')).toMatchObject({ state: 'listening', credit: 7 })
  expect(JSON.parse((await operator('log-level debug --json')).output)).toEqual({ level: 'debug', before: 'info' })

  const nowhere = await operator('pause nowhere --json')
  expect([nowhere.code, JSON.parse(nowhere.output)]).toMatchObject([2, { error: { code: 'COMMAND_INVALID' } }])
  const refused = await reader('pause orders --json')
  expect([refused.code, JSON.parse(refused.output)]).toMatchObject([1, { error: { code: 'COMMAND_REFUSED' } }])
  expect((await stranger('status')).output).toContain('Set KOKSMAT_INSPECTOR_TOKEN')
  expect(await stateOf('orders')).toMatchObject({ state: 'listening' })

  expect(await operator('drain')).toMatchObject({ code: 0 })
  expect(await controller.exit).toEqual({ code: 0, signal: null })
  expect(controller.output()).not.toMatch(/operate-operate|read----read/)
})
