import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, inject, it } from 'vitest'
import type { Status } from '../../src/status.ts'
import { freePort } from '../support/freePort.ts'
import { startProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const index = join(import.meta.dirname, '../../src/index.ts')
const schema = `cli_${randomBytes(4).toString('hex')}`
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'koksmat-watch-'))
})
afterEach(async () => {
  const database = new Client({ connectionString: inject('databaseUrl') })
  await database.connect()
  await database.query(`drop schema if exists ${schema} cascade`)
  await database.end()
  rmSync(folder, { recursive: true, force: true })
})

const write = (...queues: readonly string[]): void => {
  const sources = queues.map((queue) => `${queue}: tableQueue({ queue: '${queue}' })`)
  writeFileSync(
    join(folder, 'controller.config.ts'),
    `import { defineController, tableQueue } from ${JSON.stringify(index)}
    export default defineController({ sources: { ${sources} }, handlers: [] })`,
  )
}

it('start --watch drains and starts again at a change, outlives a broken configuration, and ends at a signal', async () => {
  write('first')
  const adminPort = await freePort()
  const env = {
    DATABASE_URL: inject('databaseUrl'),
    KOKSMAT_JOURNAL_SCHEMA: schema,
    KOKSMAT_ADMIN_PORT: String(adminPort),
    PORT: String(await freePort()),
  }
  await using watcher = startProcess([main, 'start', '--watch'], { cwd: folder, env })
  const running = async (source: string): Promise<Status> =>
    until(async () => {
      const response = await fetch(`http://127.0.0.1:${adminPort}/status`)
      const status = (await response.json()) as Status
      return status.state === 'running' && source in status.sources ? status : undefined
    }, 30_000)

  const first = await running('first')
  expect(first.pid).not.toBe(watcher.pid)
  write('first', 'second')
  const second = await running('second')
  expect(second.pid).not.toBe(first.pid)
  expect(watcher.log().filter(({ msg }) => msg === 'drained')).toMatchObject([{ clean: true, reason: 'SIGTERM' }])

  write('not a name')
  await watcher.says(/controller ended; waiting for a change/)
  write('third')
  await running('third')

  watcher.signal('SIGTERM')
  expect(await watcher.exit).toEqual({ code: 0, signal: null })
  expect(watcher.log().filter(({ msg }) => msg === 'drained')).toHaveLength(3)
  await expect(fetch(`http://127.0.0.1:${adminPort}/livez`)).rejects.toThrow()
})

it('Ctrl-C to the whole group ends start --watch with the exit code of a clean drain', async () => {
  write('first')
  const adminPort = await freePort()
  const env = {
    DATABASE_URL: inject('databaseUrl'),
    KOKSMAT_JOURNAL_SCHEMA: schema,
    KOKSMAT_ADMIN_PORT: String(adminPort),
    PORT: String(await freePort()),
  }
  await using watcher = startProcess([main, 'start', '--watch'], { cwd: folder, env })
  await until(async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok, 30_000)
  watcher.signal('SIGINT', { group: true })
  // The terminal's signal and the one that the watcher passes on may overtake each other; the second is ignored.
  expect(await watcher.exit).toEqual({ code: 0, signal: null })
  expect(watcher.log().filter(({ msg }) => msg === 'drained')).toMatchObject([
    { clean: true, reason: expect.stringMatching(/^SIG(INT|TERM)$/) },
  ])
})
