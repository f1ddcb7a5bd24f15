import type { JournalRow } from '../../machines/driver.ts'
import { type ArrivedEvent, identityOf } from '../../machines/event.ts'
import { type Done, type Failed, journalQueue, type Moved, type Queryable } from '../../machines/journal.ts'
import { type Finish, type Finished, finishCall, finishOf, finishValues } from './finish.ts'
import { historyOf, insertRowsText, type NewRow, rowValues } from './insert.ts'
import type { WithRow } from './plan.ts'
import { storedIdentity, textOf } from './rows.ts'
import type { Names } from './schema.ts'

/**
 * The statements of a settlement. Those that touch rows are fenced by the replica and tell which rows they found; those
 * that several transactions may run on the same keys go through them in one order, so that none waits in a circle.
 */
export interface Steps {
  /** Deletes rows, and with `keepMs` writes their marks. */
  finish(tx: Queryable, done: readonly WithRow<Done>[], keepMs: number | undefined): Promise<Finish>
  /** Writes marks; gives the endings whose mark is new. */
  mark(tx: Queryable, done: readonly Done[]): Promise<readonly Done[]>
  emit(tx: Queryable, done: readonly Done[], asRaw: boolean): Promise<void>
  count(tx: Queryable, done: readonly Done[]): Promise<void>
  failRows(tx: Queryable, failed: readonly WithRow<Failed>[]): Promise<readonly Held[]>
  failEvents(tx: Queryable, failed: readonly Failed[], asRaw: boolean): Promise<void>
  moveRows(tx: Queryable, moved: readonly WithRow<Moved>[]): Promise<readonly Held[]>
  moveEvents(tx: Queryable, moved: readonly Moved[], asRaw: boolean): Promise<void>
  releaseRows(tx: Queryable, rows: readonly JournalRow[]): Promise<readonly Held[]>
  endBegun(tx: Queryable, events: readonly ArrivedEvent[]): Promise<void>
  freeBegun(tx: Queryable, events: readonly ArrivedEvent[]): Promise<void>
}

/** A row that was still leased to this replica. */
export interface Held {
  readonly seq: string
  readonly queue: string
}

export const createSteps = (names: Names, replica: () => string): Steps => {
  const { quoted } = names
  const markNew = `on conflict (ce_source, id) do update set until = excluded.until where s.until <= now()`
  const finishText = `select * from ${finishCall(names, 1)}`
  const markText = `
    insert into ${quoted}.seen as s (ce_source, id, until)
    select ce_source, id, now() + keep * interval '1 millisecond'
    from unnest($1::text[], $2::text[], $3::bigint[]) as new (ce_source, id, keep) order by 2, 1
    ${markNew} returning ce_source as source, id`
  const insertNew = insertRowsText(names, 'on conflict (ce_source, id) do nothing')
  const insertFailed = insertRowsText(
    names,
    `on conflict (ce_source, id) do update set
       queue = excluded.queue, state = excluded.state, due = excluded.due, attempts = excluded.attempts,
       history = coalesce(e.history, '[]') || coalesce(excluded.history, '[]'), parked_at = excluded.parked_at
     where e.state = 'parked'`,
  )
  const countText = `
    insert into ${quoted}.counter as c (name, value)
    select name, sum(n) from unnest($1::text[], $2::numeric[]) as added (name, n) group by name order by name
    on conflict (name) do update set value = c.value + excluded.value`
  const failText = `
    update ${quoted}.event e set state = d.state, lease_by = null, due = now() + d.due_in * interval '1 millisecond',
      via = d.via, attempts = d.attempts, history = coalesce(e.history, '[]') || d.history::jsonb,
      parked_at = case when d.state = 'parked' then now() end
    from unnest($1::bigint[], $3::text[], $4::bigint[], $5::integer[], $6::text[], $7::text[])
      as d (seq, state, due_in, attempts, history, via)
    where e.seq = d.seq and e.seq = any($1) and e.lease_by = $2 returning e.seq::text, e.queue`
  const moveText = `
    update ${quoted}.event e set state = 'ready', lease_by = null, due = now(), queue = d.queue, via = d.via
    from unnest($1::bigint[], $3::text[], $4::text[]) as d (seq, queue, via)
    where e.seq = d.seq and e.seq = any($1) and e.lease_by = $2 returning e.seq::text, e.queue`
  const releaseText = `
    with released as (
      update ${quoted}.event set state = 'ready', lease_by = null, due = least(due, now())
      where seq = any($1::bigint[]) and lease_by = $2 returning seq, queue
    )
    select seq::text, queue, pg_notify($3, '0 ' || queue) from released`
  // A replica that was declared dead and registered anew ends under its new number what it began under the old one.
  const begunHere = `b.ce_source = d.ce_source and b.id = d.id and (b.lease_by = $3
    or not exists (select from ${quoted}.replica r where r.id = b.lease_by))`
  const endBegunText = `
    delete from ${quoted}.begun b using unnest($1::text[], $2::text[]) as d (ce_source, id) where ${begunHere}`
  const freeBegunText = `
    update ${quoted}.begun b set lease_by = null, held = false from unnest($1::text[], $2::text[]) as d (ce_source, id)
    where ${begunHere}`

  return {
    finish: async (tx, done, keepMs) => {
      const { rows } = await tx.query<Finished>(finishText, finishValues(done, keepMs))
      return finishOf(done, rows[0] as Finished)
    },
    mark: async (tx, done) => {
      const keeps = done.map(({ keepMs }) => keepMs ?? 0)
      const { rows } = await tx.query<{ source: string; id: string }>(markText, [...keysOf(done.map(eventOf)), keeps])
      const fresh = new Set(rows.map(identityOf))
      return done.filter(({ event }) => fresh.has(storedIdentity(event)))
    },
    emit: async (tx, done, asRaw) => {
      const rows = done.flatMap(({ emits = [], emitDelaysMs = [] }) =>
        emits.map(
          (arrival, index): NewRow => ({
            ...arrival,
            queue: journalQueue,
            state: 'ready',
            dueInMs: emitDelaysMs[index] ?? 0,
          }),
        ),
      )
      if (rows.length > 0) await tx.query(insertNew, rowValues(rows, asRaw))
    },
    count: async (tx, done) => {
      const added = done.flatMap(({ counters = {} }) => Object.entries(counters))
      if (added.length === 0) return
      await tx.query(countText, [added.map(([name]) => textOf(name)), added.map(([, n]) => n)])
    },
    failRows: async (tx, failed) => {
      const { rows } = await tx.query<Held>(failText, [
        failed.map(({ row }) => row.seq),
        leaseOf(failed[0]),
        failed.map(stateOf),
        failed.map(({ dueInMs }) => Math.round(dueInMs)),
        failed.map(({ attempts }) => attempts),
        failed.map(({ history }) => historyOf(history)),
        failed.map(({ event }) => event.via),
      ])
      return rows
    },
    failEvents: async (tx, failed, asRaw) => {
      const rows = failed.map((ending): NewRow => {
        const { event, queue, dueInMs, attempts, history, raw } = ending
        const state = stateOf(ending)
        return { event, queue, state, dueInMs, attempts, history, ...(raw === undefined ? {} : { raw }) }
      })
      await tx.query(insertFailed, rowValues(rows, asRaw))
    },
    moveRows: async (tx, moved) => {
      const values = [
        moved.map(({ row }) => row.seq),
        leaseOf(moved[0]),
        moved.map(({ queue }) => queue),
        moved.map(({ event }) => event.via),
      ]
      return (await tx.query<Held>(moveText, values)).rows
    },
    moveEvents: async (tx, moved, asRaw) => {
      const rows = moved.map(({ event, queue }): NewRow => ({ event, queue, state: 'ready' }))
      await tx.query(insertNew, rowValues(rows, asRaw))
    },
    releaseRows: async (tx, rows) =>
      (await tx.query<Held>(releaseText, [rows.map(({ seq }) => seq), rows[0]?.lease, names.channel])).rows,
    endBegun: async (tx, events) => {
      await tx.query(endBegunText, [...keysOf(events), replica()])
    },
    freeBegun: async (tx, events) => {
      await tx.query(freeBegunText, [...keysOf(events), replica()])
    },
  }
}

/** That of the first is that of all. */
const leaseOf = (first: { readonly row: JournalRow } | undefined): string | undefined => first?.row.lease

/** Columns `ce_source` and `id`. */
export const keysOf = (events: readonly ArrivedEvent[]): string[][] => [
  events.map(({ source }) => textOf(source)),
  events.map(({ id }) => textOf(id)),
]

const eventOf = ({ event }: Done): ArrivedEvent => event

const stateOf = ({ as }: Failed): 'ready' | 'parked' => (as === 'park' ? 'parked' : 'ready')
