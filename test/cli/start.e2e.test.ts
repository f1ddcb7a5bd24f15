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

afterEach(async () => {
  const database = new Client({ connectionString: inject('databaseUrl') })
  await database.connect()
  await database.query(`drop schema if exists ${schema}, demo cascade`)
  await database.end()
})

const started = async () => {
  const adminPort = await freePort()
  const env = {
    DATABASE_URL: inject('databaseUrl'),
    KOKSMAT_JOURNAL_SCHEMA: schema,
    KOKSMAT_ADMIN_PORT: String(adminPort),
    PORT: String(await freePort()),
  }
  const controller = startProcess([main, 'start', quickstart], { env })
  await until(async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined))?.ok, 30_000)
  const cli = async (...args: string[]) => {
    await using child = startProcess([main, ...args], { env })
    const { code } = await child.exit
    return { code, output: child.output() }
  }
  return { controller, cli, env }
}

it.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends start with code 0, the drain report being its last line',
  async (name) => {
    const { controller } = await started()
    await using _ = controller
    controller.signal(name)
    expect(await controller.exit).toEqual({ code: 0, signal: null })
    const log = controller.log()
    expect(log.at(-1)).toMatchObject({ msg: 'drained', clean: true, reason: name, unsettled: [] })
    expect(log.filter(({ msg }) => msg === 'drained')).toHaveLength(1)
  },
)

it('a parked event is listed, redriven and dropped, and the drain command ends start', async () => {
  const { controller, cli } = await started()
  await using _ = controller
  await cli('send', 'orders', '{}', '--type', 'nobody.knows', '--id', 'e-1', '--config', quickstart)
  const parked = async () => JSON.parse((await cli('events', 'list', '--code', 'EVENT_UNHANDLED', '--json')).output)
  const [event] = await until(async () => {
    const events = await parked()
    return events.length > 0 ? events : undefined
  }, 20_000)
  expect(event).toMatchObject({ id: 'e-1', type: 'nobody.knows', via: 'orders' })
  expect((await cli('events', 'redrive', event.seq)).output).toContain('1 event is ready again')
  await until(async () => (await parked()).length > 0, 20_000)
  expect((await cli('events', 'drop', '--type', 'nobody.knows', '--yes')).output).toContain('1 event is dropped')
  expect(JSON.parse((await cli('status', '--json')).output)).toMatchObject({ state: 'running' })
  expect((await cli('graph')).output).toContain('class controller_running active')

  expect(await cli('drain')).toMatchObject({ code: 0 })
  expect(await controller.exit).toEqual({ code: 0, signal: null })
})

it('a port that is taken ends start with code 1 and PORT_IN_USE', async () => {
  const { controller, cli } = await started()
  await using _ = controller
  const { code, output } = await cli('start', quickstart)
  expect(output).toContain('PORT_IN_USE')
  expect(code).toBe(1)
})
