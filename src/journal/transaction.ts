import { ControllerError } from '../../machines/errors.ts'
import type { Queryable } from '../../machines/journal.ts'
import { isConnectionLoss } from './failures.ts'
import { type Connection, type Pool, queryTimeoutMs } from './pool.ts'

/**
 * One transaction, and the truth about its end. When a connection breaks during COMMIT the outcome is unknown; the
 * transaction's number, asked for at its begin, tells later (`pg_xact_status`) whether it was committed. After a crash,
 * and on a standby that took over, a number that was given out but not yet written down is given out again: there it
 * tells nothing. The transaction counts as not committed then, and what runs again finds its marks and leases.
 *
 * A transaction in which nothing is asked for a while is ended by the server, so that a frozen process holds no lock; as
 * long as the process lives it asks something each second.
 */
export type Ended<Result> =
  | { readonly status: 'committed'; readonly result: Result }
  | { readonly status: 'unknown'; readonly result: Result; readonly number: TransactionNumber; readonly error: unknown }

/** Of a transaction, and of the server that gave it: when that was started. */
export interface TransactionNumber {
  readonly xid: string
  readonly server: string
}

export interface Begin {
  /** Statements after `begin`, in the same round trip; `run` gets the rows of the last. */
  readonly opening?: string
  readonly openingTimeoutMs?: number
  /** For statements of `run`; 0: none. */
  readonly timeoutMs?: number
  /** Until COMMIT is sent: cut the connection and reject with the reason. */
  readonly signal?: AbortSignal
}

const frozenAfterMs = 4_000
const pingMs = 1_000

/** Rejects when the transaction is known not to have committed. */
export const attempt = async <Result>(
  pool: Pool,
  run: (tx: Queryable, opened: object[]) => Promise<Result>,
  { opening = '', openingTimeoutMs = queryTimeoutMs, timeoutMs = queryTimeoutMs, signal }: Begin = {},
): Promise<Ended<Result>> => {
  signal?.throwIfAborted()
  const connection = releasedOnce(await pool.connect())
  const aborted = Promise.withResolvers<never>()
  aborted.promise.catch(() => undefined)
  const abort = (): void => {
    connection.release(true)
    aborted.reject(signal?.reason)
  }
  signal?.addEventListener('abort', abort, { once: true })
  const line = inLine(connection, timeoutMs)
  let number: TransactionNumber
  let result: Result
  try {
    signal?.throwIfAborted()
    const begun = await Promise.race([begin(connection, opening, openingTimeoutMs), aborted.promise])
    number = begun.number
    line.open()
    result = await Promise.race([run(line, begun.opened), aborted.promise])
    await Promise.race([line.close(), aborted.promise])
  } catch (thrown) {
    const reusable = line.idle() && signal?.aborted !== true && !isConnectionLoss(thrown)
    void line.close()
    if (reusable) await rollBack(connection)
    else connection.release(true)
    throw thrown
  } finally {
    signal?.removeEventListener('abort', abort)
  }
  try {
    const { command } = await connection.query('commit', [], queryTimeoutMs)
    connection.release(false)
    if (command !== 'COMMIT') throw abortedBefore()
    return { status: 'committed', result }
  } catch (thrown) {
    connection.release(true)
    if (isConnectionLoss(thrown)) return { status: 'unknown', result, number, error: thrown }
    throw thrown
  }
}

/** Whether a transaction of unknown outcome was committed. */
export const wasCommitted = async (pool: Pool, number: TransactionNumber): Promise<boolean> => {
  for (;;) {
    const status = await statusOf(pool, number)
    if (status !== 'in progress') return status === 'committed'
  }
}

const statusOf = async (pool: Pool, { xid, server }: TransactionNumber): Promise<string> => {
  try {
    const { rows } = await pool.query<{ status: string; server: string }>(
      `select pg_xact_status($1::text::xid8) as status, ${serverText} as server, pg_sleep(0.02)`,
      [xid],
    )
    return rows[0]?.server === server ? rows[0].status : 'aborted'
  } catch (thrown) {
    // "transaction ID … is in the future": a standby that took over never had it.
    if (thrown instanceof Error && 'code' in thrown && thrown.code === '22023') return 'aborted'
    throw thrown
  }
}

const serverText = 'extract(epoch from pg_postmaster_start_time())::text'

const begin = async (connection: Connection, opening: string, timeoutMs: number): Promise<Begun> => {
  const results = await connection.script(
    `begin; set local idle_in_transaction_session_timeout = ${frozenAfterMs};
     select pg_current_xact_id()::text as xid, ${serverText} as server; ${opening}`,
    timeoutMs,
  )
  const [first] = results[2]?.rows ?? []
  return { number: { xid: '', server: '', ...first }, opened: results.at(-1)?.rows ?? [] }
}

interface Begun {
  readonly number: TransactionNumber
  readonly opened: object[]
}

const rollBack = (connection: Connection): Promise<void> =>
  connection.query('rollback', [], queryTimeoutMs).then(
    () => connection.release(false),
    () => connection.release(true),
  )

const releasedOnce = (connection: Connection): Connection => {
  let released = false
  return {
    ...connection,
    release: (broken) => {
      if (!released) connection.release(broken)
      released = true
    },
  }
}

interface Line extends Queryable {
  open(): void
  /** Nothing is being asked. */
  idle(): boolean
  /** After it nothing is asked through this line any more; resolves when the last answer is there. */
  close(): Promise<void>
}

/**
 * Queries of one connection, one after the other, however many callers ask at once. A failed one that nobody waits for
 * is no unhandled rejection: the transaction fails at its end.
 */
const inLine = (connection: Connection, timeoutMs: number): Line => {
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let closed = false
  let timer: NodeJS.Timeout | undefined
  const over = (): Promise<never> => {
    const rejected = Promise.reject(overAlready())
    rejected.catch(() => undefined)
    return rejected
  }
  const next = <Result>(ask: () => Promise<Result>): Promise<Result> => {
    waiting++
    const answer = last.then(ask).finally(() => {
      waiting--
    })
    last = answer.catch(() => undefined)
    return answer
  }
  const ping = (): void => {
    if (waiting === 0) void next(() => connection.query('select 1', [], queryTimeoutMs))
  }
  return {
    query: (text, values = []) => (closed ? over() : next(() => connection.query<never>(text, values, timeoutMs))),
    idle: () => waiting === 0,
    open: () => {
      timer = setInterval(ping, pingMs)
    },
    close: async () => {
      closed = true
      clearInterval(timer)
      await last
    },
  }
}

const abortedBefore = (): ControllerError =>
  new ControllerError('HANDLER_FAILED', 'A statement of the transaction failed and its error was not passed on.')

const overAlready = (): ControllerError =>
  new ControllerError('HANDLER_FAILED', 'The transaction is over: a query came after its end. Await every query of it.')
