import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Log } from '../../machines/driver.ts'
import type { Queryable } from '../../machines/journal.ts'
import { arrayLiteral } from './arrays.ts'
import { unavailable } from './failures.ts'

/**
 * Connections to the journal's database. Nothing here relies on the state of a session, and no timeout is asked of the
 * server at connect, so PgBouncer in transaction mode may stand in between. A query that is not answered in time fails,
 * and its connection is discarded: a frozen server must not hang its callers.
 */
export interface Pool extends Queryable {
  /**
   * Like `query`, for a statement that is asked all the time: where sessions are real, each connection prepares it once.
   * For statements with one good plan only, since Postgres keeps it.
   */
  repeated<Row extends object>(name: string, text: string, values: readonly unknown[]): Promise<Answered<Row>>
  connect(): Promise<Connection>
  /** Waits for connections in use, at most `withinMs`; then cuts them. */
  end(withinMs: number): Promise<void>
}

export interface Connection {
  /** `timeoutMs` 0: wait for ever. */
  query<Row extends object>(
    text: string,
    values: readonly unknown[],
    timeoutMs: number,
    name?: string,
  ): Promise<Answered<Row>>
  /** Several statements in one round trip. */
  script(text: string, timeoutMs: number): Promise<readonly Answered<object>[]>
  /** Back into the pool; `broken`: out of it. */
  release(broken: boolean): void
}

export interface Answered<Row> {
  readonly rows: Row[]
  readonly rowCount: number | null
  readonly command: string
}

export interface PoolOptions {
  readonly url: string
  readonly size: number
  readonly applicationName: string
  readonly log: Log
  /** Whether a connection keeps what it has prepared; asked each time. Default: no. */
  readonly keepsSession?: () => boolean
  readonly onAnswered?: () => void
  readonly onFailed?: (thrown: unknown) => void
}

export const connectTimeoutMs = 5_000
export const queryTimeoutMs = 10_000

export const createPool = (options: PoolOptions): Pool => {
  const { log, onAnswered, onFailed } = options
  const clients = new Set<pg.PoolClient>()
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.size,
    application_name: options.applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  })
  const noted = (error: Error): void => log.debug({ err: error }, 'journal connection lost')
  pool.on('error', noted)
  pool.on('connect', (client) => {
    onAnswered?.()
    clients.add(client)
    client.on('error', noted)
  })
  pool.on('remove', (client) => clients.delete(client))
  let ended: Promise<void> | undefined

  const watched = async <Result>(answer: Promise<Result>): Promise<Result> => {
    try {
      const result = await answer
      onAnswered?.()
      return result
    } catch (thrown) {
      onFailed?.(thrown)
      throw thrown
    }
  }

  /** One that lay idle in the pool is no answer of the server. */
  const connected = (): Promise<pg.PoolClient> =>
    pool.connect().catch((thrown: unknown) => {
      onFailed?.(thrown)
      throw thrown
    })

  const connect = async (): Promise<Connection> => {
    if (ended !== undefined) throw unavailable()
    const client = await connected()
    const ask = <Result>(text: string, values: readonly unknown[], timeoutMs: number, name?: string): Promise<Result> =>
      watched(answered<Result>(client, text, values.map(arrayLiteral), timeoutMs, name))
    return {
      query: ask,
      script: async (text, timeoutMs) => {
        const results = await ask<Answered<object> | Answered<object>[]>(text, [], timeoutMs)
        return Array.isArray(results) ? results : [results]
      },
      release: (broken) => client.release(broken),
    }
  }

  const once = async <Row extends object>(
    text: string,
    values: readonly unknown[],
    name?: string,
  ): Promise<Answered<Row>> => {
    const connection = await connect()
    try {
      const answered = await connection.query<Row>(text, values, queryTimeoutMs, name)
      connection.release(false)
      return answered
    } catch (thrown) {
      connection.release(true)
      throw thrown
    }
  }

  return {
    connect,
    query: (text, values = []) => once<never>(text, values),
    repeated: (name, text, values) => once(text, values, options.keepsSession?.() === true ? name : undefined),
    end: (withinMs) => {
      ended ??= endWithin(pool, clients, withinMs)
      return ended
    },
  }
}

/**
 * Without pg's own promises and timeouts: they assign functions to properties, which V8 makes as old objects, and those
 * keep the answer, rows and all, until the next full collection.
 */
const answered = <Result>(
  client: pg.PoolClient,
  text: string,
  values: unknown[],
  timeoutMs: number,
  name: string | undefined,
): Promise<Result> =>
  new Promise((resolve, reject) => {
    const late = (): void => reject(new Error('Query read timeout'))
    const timer = timeoutMs === 0 ? undefined : setTimeout(late, timeoutMs)
    const over = (thrown: Error | null, result: unknown): void => {
      clearTimeout(timer)
      if (thrown) reject(thrown)
      else resolve(result as Result)
    }
    // A config is copied by pg, property by property, with each query.
    if (name === undefined) client.query(text, values, over)
    else client.query({ text, values, name }, over)
  })

const endWithin = async (pool: pg.Pool, clients: ReadonlySet<pg.PoolClient>, withinMs: number): Promise<void> => {
  const timer = new AbortController()
  const late = sleep(withinMs, undefined, { signal: timer.signal }).then(
    () => {
      for (const client of clients) client.connection.stream.destroy()
    },
    () => undefined,
  )
  await Promise.race([pool.end(), late])
  timer.abort()
}
