import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Status } from '../../src/status.ts'
import { freePort } from '../../test/support/freePort.ts'
import { type DrivenProcess, startProcess } from '../../test/support/processDriver.ts'
import { until } from '../../test/support/until.ts'
import { addressOf } from './servers.ts'

const root = join(import.meta.dirname, '../..')
const main = join(root, 'dist/src/main.js')
const config = join(root, 'bench/program/controller.config.ts')

/** The real program as it is compiled for the package, with names of its own in every server. */
export interface World {
  readonly name: string
  readonly client: pg.Client
  /** Resolves when `/readyz` says so. */
  start(env?: Readonly<Record<string, string | undefined>>): Promise<Program>
  /** Puts so many events into its table queue. */
  enqueue(events: number, type: string): Promise<void>
  /** Resolves when its journal holds no event any more. */
  empty(): Promise<void>
  close(): Promise<void>
}

export interface Program {
  /** From the start of the process to the moment it was ready. */
  readonly readyMs: number
  usage(): Promise<Usage>
  /** Resolves when so many handlers run. */
  handles(events: number): Promise<void>
  /** SIGTERM; resolves with the time it took. @throws when it did not end clean */
  drain(): Promise<number>
}

/** What the process has used since its start, as `program/controller.config.ts` tells it. */
interface Usage {
  readonly cpuMicros: number
  readonly megabytes: number
}

export const openWorld = async (): Promise<World> => {
  execFileSync(process.execPath, [join(root, 'scripts/build.ts')], { stdio: 'ignore' })
  const name = `bench_${randomUUID().slice(0, 8)}`
  const journal = `${name}_journal`
  const client = new pg.Client({ connectionString: addressOf('postgres') })
  await client.connect()
  await client.query(`create schema ${name};
    create table ${name}.watched (id bigint generated always as identity primary key, status text not null)`)
  const running = new Set<DrivenProcess>()

  const start: World['start'] = async (env = {}) => {
    const ports = { PORT: String(await freePort()), KOKSMAT_ADMIN_PORT: String(await freePort()) }
    const admin = `http://127.0.0.1:${ports.KOKSMAT_ADMIN_PORT}`
    const names = { BENCH_NAME: name, KOKSMAT_JOURNAL_SCHEMA: journal, LOG_LEVEL: 'warn' }
    const startedAt = performance.now()
    const program = startProcess([main, 'start', config], { env: { ...names, ...ports, ...env } })
    running.add(program)
    while (!(await isReady(admin))) {
      if (performance.now() - startedAt > 60_000) throw new Error(`It is not ready:\n${program.output()}`)
      await sleep(10)
    }
    return {
      readyMs: performance.now() - startedAt,
      usage: async () => {
        const told = (): readonly object[] => program.log().filter((line) => 'cpuMicros' in line)
        const before = told().length
        program.signal('SIGUSR2')
        await until(() => told().length > before)
        return told().at(-1) as Usage
      },
      handles: async (handled) => {
        while ((await runningIn(admin)) < handled) await sleep(2)
      },
      drain: async () => {
        const from = performance.now()
        program.signal('SIGTERM')
        const { code } = await program.exit
        const ms = performance.now() - from
        running.delete(program)
        if (code !== 0) throw new Error(`It ended with ${code}:\n${program.output()}`)
        return ms
      },
    }
  }

  return {
    name,
    client,
    start,
    enqueue: async (events, type) => {
      await client.query(
        `select ${journal}.enqueue($1, $2, json_build_object('no', no)) from generate_series(1, $3::integer) no`,
        [name, type, events],
      )
    },
    empty: async () => {
      const isEmpty = `select not exists (select from ${journal}.event) as empty`
      while (!(await client.query<{ empty: boolean }>(isEmpty)).rows[0]?.empty) await sleep(10)
    },
    close: async () => {
      for (const program of running) await program.end()
      await client.query(`drop schema ${name} cascade; drop schema if exists ${journal} cascade`)
      await client.end()
    },
  }
}

const isReady = async (admin: string): Promise<boolean> => {
  try {
    const { ok, body } = await fetch(`${admin}/readyz`)
    await body?.cancel()
    return ok
  } catch {
    return false
  }
}

const runningIn = async (admin: string): Promise<number> => {
  const status = (await (await fetch(`${admin}/status`)).json()) as Status
  return status.jobs.running
}
