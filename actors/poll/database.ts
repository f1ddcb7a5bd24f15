import { Socket } from 'node:net'
import { Client } from 'pg'
import type { Queryable } from '../../machines/journal.ts'
import { pollError } from './pollError.ts'

/**
 * One connection to a Postgres that is not the journal's, with bounds on everything that may hang. What a session needs
 * is set inside its transactions, so that it works through PgBouncer too.
 */
export interface Database extends Queryable {
  /** Begins a transaction; one that is still open is rolled back first. */
  begin(): Promise<void>
  commit(): Promise<void>
  /** Calls `wake` for each NOTIFY, and asks for a sign of life now and then: a dead LISTEN is silent. */
  listen(channel: string, wake: () => void): Promise<void>
  /** Closes the connection, without waiting long for a server that does not answer. Legal twice. */
  close(): Promise<void>
}

const connectTimeoutMs = 10_000
const statementTimeoutMs = 15_000
const queryTimeoutMs = 20_000
const idleInTransactionMs = 60_000
const heartbeatMs = 30_000
const closeTimeoutMs = 1_000

const settings = [
  `set local timezone = 'UTC'`,
  `set local datestyle = 'ISO'`,
  'set local jit = off',
  `set local statement_timeout = ${statementTimeoutMs}`,
  `set local idle_in_transaction_session_timeout = ${idleInTransactionMs}`,
]

/**
 * `onLost` is called for every sign that an established connection is gone, also more than once. Errors of queries are
 * ControllerErrors, so that nobody takes them for errors of the journal.
 */
export const openDatabase = async (url: string, onLost: (thrown: unknown) => void): Promise<Database> => {
  const socket = new Socket()
  const client = new Client({
    connectionString: url,
    stream: () => socket,
    application_name: 'koksmat-controller',
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
  })
  let open = true
  let heartbeat: NodeJS.Timeout | undefined
  let inTransaction = false
  const lost = (thrown: unknown) => {
    if (open) onLost(thrown)
  }
  client.on('error', lost)
  client.on('end', () => lost(new Error('Postgres closed it')))

  const close = async (): Promise<void> => {
    if (!open) return
    open = false
    clearInterval(heartbeat)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeTimeoutMs)
    })
    await Promise.race([client.end().catch(() => undefined), late])
    clearTimeout(timer)
    socket.destroy()
  }

  try {
    await client.connect()
  } catch (thrown) {
    await close()
    throw thrown
  }

  const ask = async <Row extends object>(text: string, values?: readonly unknown[]) => {
    try {
      return await client.query<Row>(text, values === undefined ? undefined : [...values])
    } catch (thrown) {
      throw pollError(thrown, 'SOURCE_CONNECTION_LOST')
    }
  }

  return {
    query: ask,
    begin: async () => {
      const begin = ['begin', ...settings]
      await ask((inTransaction ? ['rollback', ...begin] : begin).join('; '))
      inTransaction = true
    },
    commit: async () => {
      await ask('commit')
      inTransaction = false
    },
    listen: async (channel, wake) => {
      client.on('notification', wake)
      await ask(`listen ${client.escapeIdentifier(channel)}`)
      heartbeat = setInterval(() => void ask('select 1').catch(lost), heartbeatMs)
    },
    close,
  }
}
