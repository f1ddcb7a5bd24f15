import pg from 'pg'
import type { Log } from '../../machines/driver.ts'
import { connectTimeoutMs } from './pool.ts'
import type { Names } from './schema.ts'
import type { Wakes } from './wake.ts'

/**
 * The one connection whose session matters. It hears NOTIFY, and it holds the advisory lock by which other replicas see
 * at once whether this one lives. It asks something now and then, since a connection that only listens dies unnoticed,
 * and comes back by itself. Where a pooler such as PgBouncer stands in between, sessions are not real: then there is no
 * such connection, and polling and the lease's time do the same more slowly.
 */
export interface Session {
  /** Rejects when Postgres cannot be reached. */
  open(): Promise<void>
  /** What one query leaves in its session the next one finds: no pooler stands in between. */
  isReal(): boolean
  /** From now on the session stands for this replica, also after a reconnect. Never rejects. */
  hold(replica: string): Promise<void>
  close(): Promise<void>
}

export interface SessionOptions {
  readonly url: string
  readonly names: Names
  readonly applicationName: string
  readonly wakes: Wakes
  readonly log: Log
}

const pingMs = 10_000
const sessionQueryTimeoutMs = 5_000
const endTimeoutMs = 1_000
const minBackoffMs = 50
const maxBackoffMs = 5_000

export const createSession = ({ url, names, applicationName, wakes, log }: SessionOptions): Session => {
  let client: pg.Client | undefined
  let held: string | undefined
  let hasLock = false
  let timer: NodeJS.Timeout | undefined
  let reconnecting: Promise<void> | undefined
  let real = false
  let closed = false

  const connect = async (): Promise<void> => {
    const fresh = new pg.Client({
      connectionString: url,
      application_name: applicationName,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: sessionQueryTimeoutMs,
      keepAlive: true,
    })
    fresh.on('error', (error) => log.debug({ err: error }, 'journal session connection lost'))
    fresh.on('notification', ({ payload }) => hear(wakes, payload))
    try {
      await fresh.connect()
      real = await isReal(fresh)
      if (!real) {
        log.info({}, 'journal sessions are pooled: no NOTIFY, replicas are told dead by time only')
        await fresh.end()
        return
      }
      await fresh.query(`listen "${names.channel}"`)
      await takeLock(fresh)
    } catch (thrown) {
      await cut(fresh)
      throw thrown
    }
    if (closed) return fresh.end()
    client = fresh
    fresh.once('end', () => lost(fresh))
    pingLater(fresh)
  }

  const takeLock = async (of: pg.Client): Promise<void> => {
    if (held !== undefined) hasLock = await lock(of, names, held)
  }

  const pingLater = (of: pg.Client): void => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      const answer = hasLock || held === undefined ? of.query('select 1') : takeLock(of)
      answer.then(
        () => client === of && pingLater(of),
        () => cut(of),
      )
    }, pingMs)
  }

  const lost = (of: pg.Client): void => {
    if (client !== of) return
    client = undefined
    clearTimeout(timer)
    if (!closed) reconnect(minBackoffMs)
  }

  const reconnect = (waitMs: number): void => {
    const again = async (): Promise<void> => {
      try {
        await connect()
        wakes.all()
      } catch {
        if (!closed) reconnect(Math.min(maxBackoffMs, waitMs * (1 + Math.random())))
      }
    }
    timer = setTimeout(() => {
      reconnecting = again()
    }, waitMs)
  }

  return {
    isReal: () => real,
    open: async () => {
      if (client === undefined) await connect()
    },
    hold: async (replica) => {
      held = replica
      const current = client
      if (current === undefined) return
      try {
        await current.query('select pg_advisory_unlock_all()')
        await takeLock(current)
      } catch {
        await cut(current)
      }
    },
    close: async () => {
      closed = true
      clearTimeout(timer)
      const last = client
      client = undefined
      await Promise.all([last && cut(last), reconnecting])
    },
  }
}

/** Ends it politely, or else by force. */
const cut = async (client: pg.Client): Promise<void> => {
  const timer = setTimeout(() => client.connection.stream.destroy(), endTimeoutMs)
  await client.end().catch(() => undefined)
  clearTimeout(timer)
}

/** A pooler gives its own number at connect, not that of the server process. */
const isReal = async (client: pg.Client): Promise<boolean> => {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return 'processID' in client && client.processID === rows[0]?.pid
}

/**
 * Not waited for: after a connection has died on one side only, the server keeps the old session and its lock for hours.
 * Meanwhile the replica says that it has no session, so that others judge it by its time.
 */
const lock = async (client: pg.Client, names: Names, replica: string): Promise<boolean> => {
  const taken = `select pg_try_advisory_lock(${names.quoted}.replica_key($1)) as taken`
  const { rows } = await client.query<{ taken: boolean }>(taken, [replica])
  const hasLock = rows[0]?.taken === true
  await client.query(`update ${names.quoted}.replica set session = $2, lost_at = null where id = $1`, [
    replica,
    hasLock,
  ])
  return hasLock
}

/** Payloads are `<ms until due> <queue>`. */
const hear = (wakes: Wakes, payload: string | undefined): void => {
  const [, ms, queue] = /^(\d+) (.*)$/s.exec(payload ?? '') ?? []
  if (ms !== undefined && queue !== undefined) wakes.in(queue, Number(ms))
}
