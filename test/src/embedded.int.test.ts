import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type EmbeddedPostgres, findEmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { isAlive } from '../../src/embedded/processes.ts'
import { answers } from '../support/answers.ts'
import { type Guarded, guarded } from '../support/guarded.ts'
import { startProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'

const program = join(import.meta.dirname, 'embedded.child.ts')
const path = process.env['PATH']
const root = process.getuid?.() === 0
const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--']
const nobodyMayRead = root && spawnSync('setpriv', [...asNobody, 'test', '-r', program]).status === 0

let home: Guarded
let parent: string
let folder: string
const started: EmbeddedPostgres[] = []

const start = async (port?: number): Promise<EmbeddedPostgres> => {
  const server = await startEmbeddedPostgres({ folder, path, ...(port === undefined ? {} : { port }) })
  started.push(server)
  home.watch({ pid: server.pid, group: false, signal: 'SIGQUIT' })
  return server
}

const query = async (url: string, sql: string): Promise<unknown[]> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

beforeEach(() => {
  home = guarded('embedded postgres')
  parent = home.folder
  chmodSync(parent, 0o700)
  folder = join(parent, '.koksmat')
})

afterEach(async () => {
  for (const server of started.splice(0)) await server.stop()
  const left = findEmbeddedPostgres(folder) === undefined ? undefined : await start()
  await left?.stop()
  await home.end()
})

test('a folder that only its owner may enter, with a space in its name, is good enough', async () => {
  expect(statSync(parent).mode & 0o077).toBe(0)
  const server = await start()
  expect(await answers.postgres(server.url)).toBe(true)
})

test('what was written is there after a stop and a start, at the port that was asked for', async () => {
  const first = await start()
  await query(first.url, 'create table kept as select 42 as answer')
  await first.stop()
  expect(isAlive(first.pid)).toBe(false)
  const second = await start(Number(new URL(first.url).port))
  expect(second.url).toBe(first.url)
  expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
})

test('durability is what PostgreSQL ships: fsync and checksums are on', async () => {
  const { url } = await start()
  expect(await query(url, 'show fsync')).toEqual([{ fsync: 'on' }])
  expect(await query(url, 'show data_checksums')).toEqual([{ data_checksums: 'on' }])
})

test('a wrong password is refused, also from this machine', async () => {
  const { url } = await start()
  await expect(query(url.replace(/:[^:@]+@/, ':guess@'), 'select 1')).rejects.toMatchObject({ code: '28P01' })
})

test('stopping twice is legal, and the last word after a stop does nothing', async () => {
  const server = await start()
  await Promise.all([server.stop(), server.stop()])
  await server.stop()
  server.stopSync()
  expect(findEmbeddedPostgres(folder)).toBeUndefined()
})

test('the last word of a process ends the server without waiting for it', async () => {
  const server = await start()
  server.stopSync()
  await until(() => !isAlive(server.pid))
})

test('a folder has one owner, and a second one is told who it is', async () => {
  await start()
  await expect(start()).rejects.toMatchObject({
    code: 'EMBEDDED_POSTGRES_FAILED',
    message: expect.stringContaining(`process ${process.pid}`),
  })
})

test('another process of the same user finds the running server', async () => {
  const server = await start()
  expect(findEmbeddedPostgres(folder)).toBe(server.url)
})

test('when its owner is killed the server stays, and the next owner takes it over', async () => {
  const owner = startProcess([program, folder])
  await owner.says(/"reused":false/)
  await owner.end()
  const server = await start()
  expect(server.reused).toBe(true)
  expect(server.pid).toBe(owner.log()[0]?.['pid'])
  expect(await answers.postgres(server.url)).toBe(true)
})

test('when everything is killed, what was committed is recovered', async () => {
  const owner = startProcess([program, folder])
  await owner.says(/"url"/)
  await query(String(owner.log()[0]?.['url']), 'create table kept as select 42 as answer')
  const pid = Number(owner.log()[0]?.['pid'])
  process.kill(pid, 'SIGKILL')
  await owner.end()
  await until(() => !isAlive(pid))
  const server = await start()
  expect(server.reused).toBe(false)
  expect(await query(server.url, 'select answer from kept')).toEqual([{ answer: 42 }])
})

test('a kill while the cluster is being made leaves nothing that the next start trips over', async () => {
  const owner = startProcess([program, folder])
  await until(() =>
    readdirSync(folder).some((name) => name.startsWith('cluster.') && existsSync(join(folder, name, 'data'))),
  )
  await owner.end()
  expect(existsSync(join(folder, 'cluster'))).toBe(false)
  const server = await start()
  expect(await answers.postgres(server.url)).toBe(true)
})

test("a process number that has become a stranger's is not taken for the server", async () => {
  const first = await start()
  const pidFile = join(folder, 'cluster', 'data', 'postmaster.pid')
  const recorded = readFileSync(pidFile, 'utf8')
  await first.stop()
  writeFileSync(pidFile, recorded.replace(/^\d+/, String(process.pid)))
  const second = await start()
  expect(second.reused).toBe(false)
  expect(await answers.postgres(second.url)).toBe(true)
})

test('Ctrl-C reaches the owner and not the server, which still answers while the owner drains', async () => {
  await using owner = startProcess([program, folder])
  await owner.says(/"url"/)
  owner.signal('SIGINT', { group: true })
  expect(await owner.exit).toEqual({ code: 0, signal: null })
  expect(owner.output()).toContain('the server answers: true')
  expect(isAlive(Number(owner.log()[0]?.['pid']))).toBe(false)
})

test('a folder that cannot be used is an error that says so', async () => {
  writeFileSync(folder, 'a file')
  await expect(start()).rejects.toMatchObject({ code: 'EMBEDDED_POSTGRES_FAILED' })
})

test('an ordinary user needs no rights but to the folder', async ({ skip }) => {
  skip(!nobodyMayRead, 'only root can become an ordinary user, who has to see these files')
  spawnSync('chown', ['65534:65534', parent])
  const command = [...asNobody, process.execPath, program, folder]
  await using owner = startProcess(command, { command: 'setpriv', env: { HOME: parent } })
  await owner.says(/"url"/)
  expect(statSync(join(folder, 'cluster', 'data')).uid).toBe(65534)
  owner.signal('SIGINT')
  expect(await owner.exit).toEqual({ code: 0, signal: null })
})
