import type { AttemptRecord, Parked, ParkedFilter, ParkedSummary } from '../../machines/journal.ts'
import type { Base } from './base.ts'
import { decodeRow, type EventRow, eventColumns } from './rows.ts'

/** Parked events, for operators. Every change is one statement over at most 1,000 of them. */
const maxAtOnce = 1_000

interface ParkedRow extends EventRow {
  readonly parked_at: string
  readonly history: readonly AttemptRecord[] | null
}

const readyAgain = "state = 'ready', attempts = 0, due = now(), parked_at = null, redelivered = false"

export const createParked = (base: Base): Parked => {
  const { names, pool } = base
  const table = `${names.quoted}.event`
  const columns = `${eventColumns}, to_json(e.parked_at) #>> '{}' as parked_at, e.history`
  const matching = `select seq from ${table} e where e.state = 'parked'
    and ($1::bigint[] is null or e.seq = any($1)) and ($2::text is null or e.via = $2)
    and ($3::text is null or e.type = $3) and ($4::text is null or e.history -> -1 -> 'error' ->> 'code' = $4)
    and ($6::timestamptz is null or e.parked_at <= $6)
    order by e.seq limit $5`

  return {
    list: async (filter) => {
      const { rows } = await pool.query<ParkedRow>(
        `select ${columns} from ${table} e where e.seq = any(array(${matching})) order by e.seq`,
        valuesOf(filter),
      )
      return rows.map(summaryOf)
    },
    show: async (seq) => {
      const { rows } = await pool.query<ParkedRow>(
        `select ${columns} from ${table} e where e.seq = $1 and e.state = 'parked'`,
        [seq],
      )
      const [row] = rows
      if (row === undefined) return undefined
      const raw = row.raw === null ? {} : { raw: row.raw.toString('base64') }
      return { ...summaryOf(row), event: decodeRow(row).event, history: row.history ?? [], ...raw }
    },
    redrive: async (filter) => {
      const { rows } = await pool.query<{ queue: string; count: number }>(
        `with redriven as (
           update ${table} set ${readyAgain}
           where seq = any(array(${matching} for update skip locked)) returning queue
         )
         select queue, count(*)::integer as count, pg_notify($7, '0 ' || queue) from redriven group by queue`,
        [...valuesOf(filter), names.channel],
      )
      for (const { queue } of rows) base.wakes.in(queue, 0)
      return rows.reduce((sum, { count }) => sum + count, 0)
    },
    drop: async (filter) => {
      const { rowCount } = await pool.query(
        `delete from ${table} where seq = any(array(${matching} for update skip locked))`,
        valuesOf(filter),
      )
      return rowCount ?? 0
    },
    edit: async (seq, json) => {
      const { rows } = await pool.query<{ queue: string }>(
        `with edited as (
           update ${table} set ${readyAgain}, data = $2, raw = null, envelope = case
             when raw is null or envelope ->> 'datacontenttype' is null then envelope
             else (envelope::jsonb || '{"datacontenttype": "application/json"}')::json end
           where seq = $1 and state = 'parked' returning queue
         )
         select queue, pg_notify($3, '0 ' || queue) from edited`,
        [seq, json, names.channel],
      )
      for (const { queue } of rows) base.wakes.in(queue, 0)
      return rows.length > 0
    },
    counts: async () => {
      const { rows } = await pool.query<{ via: string; count: number }>(
        `select via, count(*)::integer as count from ${table} where state = 'parked' group by via`,
      )
      return Object.fromEntries(rows.map(({ via, count }) => [via, count]))
    },
  }
}

const valuesOf = ({ seqs, source, type, code, limit, parkedUntil }: ParkedFilter): unknown[] => [
  seqs ?? null,
  source ?? null,
  type ?? null,
  code ?? null,
  Math.max(0, Math.min(limit, maxAtOnce)),
  parkedUntil ?? null,
]

const summaryOf = (row: ParkedRow): ParkedSummary => {
  const last = row.history?.at(-1)?.error
  return {
    seq: row.seq,
    id: row.id,
    type: row.type,
    via: row.via,
    attempts: row.attempts,
    parkedAt: row.parked_at,
    error: { code: last?.code ?? '', message: last?.message ?? '' },
  }
}
