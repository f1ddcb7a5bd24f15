import { execFileSync } from 'node:child_process'
import { appendFileSync, chownSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { type PostgresServer, startPostgresServer } from './postgresServer.ts'
import { until } from './until.ts'

/** A PostgreSQL and its hot standby. */
export interface PostgresPair extends AsyncDisposable {
  readonly primary: PostgresServer
  readonly standby: PostgresServer
  /** The standby takes over; resolves when it takes writes. */
  promote(): Promise<void>
}

/** Replication is synchronous: what the primary confirms, the standby has. */
export const startPostgresPair = async (): Promise<PostgresPair> => {
  const primary = await startPostgresServer()
  let standby: PostgresServer | undefined
  const stop = async (): Promise<void> => {
    await standby?.stop()
    await primary.stop()
  }
  try {
    standby = await startPostgresServer({ fill: (folder) => copyBase(primary, folder) })
    await asking(primary.url, async (client) => {
      await client.query(`alter system set synchronous_standby_names = '*'`)
      await client.query('select pg_reload_conf()')
      await until(async () => {
        const { rows } = await client.query('select sync_state from pg_stat_replication')
        return rows[0]?.sync_state === 'sync'
      }, 30_000)
    })
  } catch (thrown) {
    await stop()
    throw thrown
  }
  const { url } = standby
  return {
    primary,
    standby,
    promote: () => asking(url, async (client) => void (await client.query('select pg_promote(true)'))),
    [Symbol.asyncDispose]: stop,
  }
}

/** What `pg_basebackup` does, which does not come with the embedded server. */
const copyBase = async (primary: PostgresServer, folder: string): Promise<void> => {
  const data = join(folder, 'cluster', 'data')
  const { hostname, port, username, password } = new URL(primary.url)
  await asking(primary.url, async (client) => {
    await client.query(`select pg_backup_start('standby', true)`)
    execFileSync('cp', ['-a', join(primary.folder, 'cluster'), folder])
    const { rows } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)')
    const { uid, gid } = statSync(data)
    rmSync(join(data, 'postmaster.pid'))
    const login = `host=${hostname} port=${port} user=${username} password=${decodeURIComponent(password)}`
    appendFileSync(join(data, 'postgresql.auto.conf'), `primary_conninfo = '${login}'\n`)
    for (const [name, text] of [
      ['backup_label', rows[0]?.labelfile ?? ''],
      ['standby.signal', ''],
    ] as const) {
      writeFileSync(join(data, name), text)
      chownSync(join(data, name), uid, gid)
    }
  })
}

const asking = async (url: string, ask: (client: Client) => Promise<void>): Promise<void> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await ask(client)
  } finally {
    await client.end()
  }
}
