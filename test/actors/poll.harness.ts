import { randomBytes } from 'node:crypto'
import { Client, Pool } from 'pg'
import { afterAll, beforeAll, inject } from 'vitest'
import { createPollDriver, type PollOptions } from '../../actors/poll.ts'
import type { Delivery, DriverHost, Link } from '../../machines/driver.ts'
import type { ControllerError } from '../../machines/errors.ts'
import type { Intake, Queryable } from '../../machines/journal.ts'
import { printMigrations } from '../../src/journal/migrate.ts'
import { until } from '../support/until.ts'

/** A journal and a database to watch on the shared server, both gone after the file. */
export interface PollHarness {
  /** The journal's database. */
  readonly journal: Pool
  readonly journalUrl: string
  /** Another database on the same server. */
  readonly other: Pool
  readonly otherUrl: string
  /** The journal's schema. */
  readonly schema: string
  /** A replica's view of the journal; `hooks` break it. */
  intake(hooks?: IntakeHooks): Promise<Intake>
  /** Connects and consumes. Disconnected after the file. */
  start(options: PollOptions, more?: StartOptions): Promise<Started>
  /** Rows of `event` of a source, in order. */
  events(source: string): Promise<readonly EventRow[]>
}

export interface IntakeHooks {
  /** Runs before each COMMIT; throws to have it rolled back. */
  beforeCommit?(tx: Queryable): Promise<void> | void
  /** Runs after each COMMIT; throws to pretend that its answer was lost. */
  afterCommit?(): Promise<void> | void
}

export interface StartOptions {
  readonly source?: string
  readonly credit?: number
  readonly intake?: Intake
  /** Do not settle by itself. */
  readonly hold?: boolean
  /** Called with each batch, before it is settled. */
  onBatch?(): void
}

export interface Started {
  readonly source: string
  readonly link: Link
  /** All that was delivered, over all connections. */
  readonly deliveries: readonly Delivery[]
  readonly batches: readonly (readonly Delivery[])[]
  readonly losses: readonly ControllerError[]
  /** Settles deliveries in the journal, then with the driver. */
  done(deliveries: readonly Delivery[]): Promise<void>
  reconnect(): Promise<Link>
  /** Resolves with the ids when there are so many deliveries. */
  ids(count: number): Promise<readonly string[]>
}

interface EventRow {
  readonly seq: string
  readonly id: string
  readonly key: string
  readonly type: string
  readonly state: string
  readonly data: unknown
  readonly envelope: unknown
}

export const silentLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export const randomName = (what: string): string => `${what}_${randomBytes(5).toString('hex')}`

/** The common part of the options: polls each few milliseconds. */
export const quick = { type: 'row.seen', pollMs: { min: 20, max: 60 } } as const

/** The common part of the options: never polls again by itself while a test runs. */
export const patient = { type: 'row.seen', pollMs: { min: 600_000, max: 600_000 } } as const

export const pollHarness = (): PollHarness => {
  const journalUrl = inject('databaseUrl')
  const otherName = randomName('other')
  const otherUrl = Object.assign(new URL(journalUrl), { pathname: `/${otherName}` }).href
  const schema = randomName('poll')
  const journal = new Pool({ connectionString: journalUrl })
  const other = new Pool({ connectionString: otherUrl, application_name: spared })
  for (const pool of [journal, other]) pool.on('error', () => {})
  const links: (() => Promise<void>)[] = []

  beforeAll(async () => {
    await journal.query(`create database ${otherName}`)
    await journal.query(printMigrations(schema))
  })
  afterAll(async () => {
    await Promise.all(links.map((disconnect) => disconnect()))
    await other.end()
    await journal.query(`drop schema ${schema} cascade`)
    await journal.query(`drop database ${otherName} with (force)`)
    await journal.end()
  })

  const intake = async ({ beforeCommit, afterCommit }: IntakeHooks = {}): Promise<Intake> => {
    const { rows } = await journal.query<{ id: string }>(
      `insert into ${schema}.replica (name, version, alive_until) values ('test', '1', 'infinity') returning id::text`,
    )
    const replica = rows[0]?.id ?? ''
    return {
      schema,
      replica: () => replica,
      transaction: async (run) => {
        const client = await journal.connect()
        const tx: Queryable = { query: (text, values) => client.query<never>(text, values && [...values]) }
        try {
          await client.query('begin')
          const result = await run(tx)
          await beforeCommit?.(tx)
          await client.query('commit')
          await afterCommit?.()
          client.release()
          return result
        } catch (thrown) {
          client.release(true)
          throw thrown
        }
      },
      accept: () => Promise.reject(new Error('not for pollers')),
      claim: () => Promise.reject(new Error('not for pollers')),
      onWake: () => () => {},
    }
  }

  const start = async (options: PollOptions, more: StartOptions = {}): Promise<Started> => {
    const source = more.source ?? randomName('source')
    const driver = createPollDriver(options, more.intake ?? (await intake()))
    const batches: (readonly Delivery[])[] = []
    const deliveries: Delivery[] = []
    const losses: ControllerError[] = []
    let link: Link
    const done = async (settled: readonly Delivery[]): Promise<void> => {
      const seqs = settled.map(({ row }) => row?.seq)
      await journal.query(`delete from ${schema}.event where seq = any($1::bigint[])`, [seqs])
      link.settle(settled.map(({ receipt }) => ({ receipt, outcome: 'ack' })))
    }
    const host: DriverHost = {
      source,
      credit: { events: more.credit ?? 100, bytes: 1_000_000 },
      log: silentLog,
      deliver: (batch) => {
        batches.push(batch)
        deliveries.push(...batch)
        more.onBatch?.()
        if (more.hold !== true) void done(batch)
      },
      lost: (error) => losses.push(error),
      gauge: () => {},
      count: () => {},
    }
    const reconnect = async (): Promise<Link> => {
      link = await driver.connect(host)
      await link.consume()
      return link
    }
    link = await reconnect()
    links.push(() => link.disconnect())
    const ids = async (count: number) => {
      await until(() => deliveries.length >= count)
      return deliveries.map(({ event }) => event.id)
    }
    return {
      source,
      get link() {
        return link
      },
      deliveries,
      batches,
      losses,
      done,
      reconnect,
      ids,
    }
  }

  const events = async (source: string): Promise<readonly EventRow[]> => {
    const { rows } = await journal.query<EventRow>(
      `select seq::text, id, key, type, state, data, envelope from ${schema}.event where via = $1 order by seq`,
      [source],
    )
    return rows
  }

  return { journal, journalUrl, other, otherUrl, schema, intake, start, events }
}

/** The name of the sessions by which a test itself looks at the other database. */
const spared = 'test of the poller'

/** Ends all sessions of a database whose last statement matches, but for those of the test. */
export const killSessions = async (url: string, pattern: string): Promise<number> => {
  const client = new Client({ connectionString: url, application_name: spared })
  await client.connect()
  const { rowCount } = await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name <> $2 and query ilike $1`,
    [pattern, spared],
  )
  await client.end()
  return rowCount ?? 0
}
