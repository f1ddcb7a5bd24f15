import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterEach, inject } from 'vitest'
import type { Log } from '../../machines/driver.ts'
import type { ArrivedEvent } from '../../machines/event.ts'
import type { AttemptRecord, Claimed, JournalHealth } from '../../machines/journal.ts'
import { createJournal, type Journal, type JournalOptions } from '../../src/journal/journal.ts'

/**
 * Journals of one test: real ones, in a schema of the test's own that is gone after it. Open as many replicas as you
 * like; those the test did not close are closed for it.
 */
export interface Replica extends Journal {
  readonly name: string
  /** Every line it has logged. */
  readonly lines: readonly { readonly level: keyof Log; readonly message: string; readonly fields: object }[]
  readonly healths: readonly JournalHealth[]
}

export interface Journals {
  readonly schema: string
  readonly url: string
  /** A replica that is open already. */
  open(options?: Partial<JournalOptions>): Promise<Replica>
  /** A replica that is not open yet. */
  create(options?: Partial<JournalOptions>): Replica
  /** Asks the database past every journal; `S` stands for the schema. */
  sql<Row extends object = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>
  /** How many rows `event` has in each state, by state. */
  states(): Promise<Record<string, number>>
  /** Open connections of a replica, as the server sees them. */
  connections(replica: Replica): Promise<number>
  /** How many of them wait for a lock. */
  waiting(replica: Replica): Promise<number>
}

export const useJournals = (): (() => Journals) => {
  let current: { journals: Journals; end: () => Promise<void> } | undefined
  afterEach(async () => {
    await current?.end()
    current = undefined
  })
  return () => {
    current ??= journals()
    return current.journals
  }
}

const journals = (): { journals: Journals; end: () => Promise<void> } => {
  const url = inject('databaseUrl')
  const schema = `t_${randomUUID().replaceAll('-', '').slice(0, 16)}`
  const admin = new pg.Pool({ connectionString: url, max: 3 })
  const replicas: Replica[] = []

  const create = (options: Partial<JournalOptions> = {}): Replica => {
    const lines: Replica['lines'][number][] = []
    const healths: JournalHealth[] = []
    const line = (level: keyof Log) => (fields: object, message: string) => void lines.push({ level, message, fields })
    const log: Log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
    const name = `${schema}-${replicas.length + 1}`
    const onHealth = (health: JournalHealth): void => void healths.push(health)
    const journal = createJournal({
      url,
      schema,
      migrate: true,
      version: '1.0.0',
      replicaName: name,
      log,
      onHealth,
      ...options,
    })
    const replica: Replica = { ...journal, name, lines, healths }
    replicas.push(replica)
    return replica
  }
  const sql: Journals['sql'] = async <Row extends object>(text: string, values: unknown[] = []) =>
    (await admin.query<Row>(text.replaceAll(/\bS\./g, `${schema}.`), values)).rows

  return {
    journals: {
      schema,
      url,
      create,
      open: async (options) => {
        const replica = create(options)
        await replica.open()
        return replica
      },
      sql,
      states: async () => {
        const rows = await sql<{ state: string; count: number }>(
          'select state, count(*)::integer as count from S.event group by state',
        )
        return Object.fromEntries(rows.map(({ state, count }) => [state, count]))
      },
      connections: ({ name }) => countOf(sql, 'true', name),
      waiting: ({ name }) => countOf(sql, `wait_event_type = 'Lock'`, name),
    },
    end: async () => {
      await Promise.all(replicas.map((replica) => replica.close()))
      await admin.query(`drop schema if exists ${schema} cascade`)
      await admin.end()
    },
  }
}

const countOf = async (sql: Journals['sql'], condition: string, name: string): Promise<number> => {
  const [row] = await sql<{ count: number }>(
    `select count(*)::integer as count from pg_stat_activity where application_name = $1 and ${condition}`,
    [`koksmat ${name}`],
  )
  return row?.count ?? 0
}

export const eventOf = (id: string, over: Partial<ArrivedEvent> = {}): ArrivedEvent => ({
  id,
  source: 'https://shop.example',
  type: 'order.created',
  data: { no: id },
  kind: 'webhook.event',
  via: 'shop',
  identified: true,
  ...over,
})

export const idsOf = (claimed: readonly Claimed[]): string[] => claimed.map(({ event }) => event.id)

export const attemptOf = (attempt: number, over: Partial<AttemptRecord['error']> = {}): AttemptRecord => ({
  attempt,
  at: '2026-01-01T00:00:00.000Z',
  error: { code: 'HANDLER_FAILED', name: 'Error', message: 'no', ...over },
  codeVersion: '1.0.0',
})

/** Accepts events, all at once; gives the rows of those that were. */
export const acceptAll = async (replica: Replica, events: readonly ArrivedEvent[]): Promise<Claimed[]> => {
  const accepted = await Promise.all(events.map((event) => replica.intake.accept({ event }, 5_000)))
  return accepted.flatMap((acceptance, index) => {
    const event = events[index]
    if (acceptance.status !== 'accepted' || event === undefined) return []
    return [{ event, bytes: 0, redelivered: false, row: acceptance.row }]
  })
}
