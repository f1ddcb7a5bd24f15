import { type Acceptance, type Arrival, journalQueue } from '../../machines/journal.ts'
import type { Base } from './base.ts'
import { isDataRefused, unavailable } from './failures.ts'
import { grouped } from './group.ts'
import { eventValues, insertText } from './insert.ts'
import { createNumbers } from './numbers.ts'
import { storedIdentity } from './rows.ts'

/**
 * The door for webhooks: an event is leased to this replica by the very insert. Three things make it a duplicate: the
 * same event earlier in the group, a live row of it, or the mark of its success. Marks are looked up after the insert,
 * because only then is a settlement that ran at the same moment either visible or impossible.
 *
 * The insert is one statement without a transaction around it, and may be repeated when its outcome is unknown: each
 * event has its number before, so a row that is there under this number is its own.
 *
 * A caller whose time is over gets its answer and the group goes on; what is committed for it after all is given back,
 * so that it is handled although nobody was told.
 */
export interface Accepting {
  accept(arrival: Arrival, withinMs: number): Promise<Acceptance>
  idle(): Promise<void>
}

interface Item {
  readonly arrival: Arrival
  expired: boolean
}

/** Which were inserted, and which of them have a mark; absent where all were and none has. */
interface Inserted {
  readonly seqs: readonly string[] | null
  readonly seen: readonly boolean[] | null
}

const maxGroup = 500
const maxGroupBytes = 8 * 1024 * 1024
const duplicate: Acceptance = { status: 'duplicate' }

export const createAccepting = (base: Base): Accepting => {
  const { names, pool } = base
  const numbers = createNumbers(pool, names)
  const event = `${names.quoted}.event`
  const insert = insertText(names, {
    arrays: { seq: 'bigint' },
    columns: { seq: 'seq', queue: `'${journalQueue}'`, state: `'leased'`, lease_by: '$12::bigint' },
    conflict: `on conflict (ce_source, id) do update set
       seq = excluded.seq, queue = excluded.queue, via = excluded.via, kind = excluded.kind, type = excluded.type,
       key = excluded.key, envelope = excluded.envelope, data = excluded.data, raw = excluded.raw, state = 'leased',
       due = now(), lease_by = excluded.lease_by, redelivered = false, attempts = 0, parked_at = null
     where e.state = 'parked' or e.seq = excluded.seq and e.lease_by = excluded.lease_by
     returning e.seq, e.ce_source, e.id`,
  })
  const acceptText = `with inserted as (${insert}), told as (
      select coalesce(array_agg(seq::text), '{}') as seqs,
        ${names.quoted}.seen_now(array_agg(ce_source), array_agg(id)) as seen
      from inserted
    )
    select case when odd then seqs end as seqs, case when odd then seen end as seen
    from (select *, cardinality(seqs) < cardinality($11) or true = any(seen) as odd from told) as judged`
  const ours = `where seq = any($1::bigint[]) and lease_by = $2`

  const insertOnce = async (items: ReadonlyMap<string, Item>, asRaw: boolean): Promise<Map<string, string>> => {
    const replica = base.replica()
    const arrivals = [...items.values()].map(({ arrival }) => arrival)
    const values = [...eventValues(arrivals, asRaw), [...items.keys()], replica]
    const { rows } = await pool.repeated<Inserted>('accept', acceptText, values)
    const [{ seqs, seen } = { seqs: [], seen: [] }] = rows
    const accepted = new Map((seqs ?? [...items.keys()]).map((seq) => [seq, replica]))
    const handled = (seqs ?? []).filter((_seq, index) => seen?.[index] === true)
    if (handled.length > 0) await pool.query(`delete from ${event} ${ours}`, [handled, replica])
    for (const seq of handled) accepted.delete(seq)
    return accepted
  }

  /** Gives the numbers under which events were accepted, each with its lease. */
  const store = async (items: ReadonlyMap<string, Item>): Promise<ReadonlyMap<string, string>> => {
    try {
      return await base.untilDone(() => insertOnce(items, false))
    } catch (thrown) {
      if (!isDataRefused(thrown)) throw thrown
      return base.untilDone(() => insertOnce(items, true))
    }
  }

  const giveBack = async (seqs: readonly string[], lease: string | undefined): Promise<void> => {
    await base.untilDone(() =>
      pool.query(`update ${event} set state = 'ready', lease_by = null ${ours}`, [seqs, lease]),
    )
    base.wakes.in(journalQueue, 0)
  }

  const flush = async (items: readonly Item[]): Promise<readonly Acceptance[]> => {
    const firsts = new Map<string, Item>()
    for (const item of items) {
      const identity = storedIdentity(item.arrival.event)
      if (!item.expired && !firsts.has(identity)) firsts.set(identity, item)
    }
    if (firsts.size === 0) return items.map(() => duplicate)
    const drawn = await base.untilDone(() => numbers.draw(firsts.size))
    const numbered = new Map([...firsts.values()].map((item, index) => [drawn[index] as string, item]))
    const accepted = await store(numbered)
    const acceptances = new Map<Item, Acceptance>()
    const late: string[] = []
    for (const [seq, item] of numbered) {
      const lease = accepted.get(seq)
      if (lease === undefined) continue
      acceptances.set(item, { status: 'accepted', row: { seq, lease, attempts: 0 } })
      if (item.expired) late.push(seq)
    }
    if (late.length > 0) giveBack(late, accepted.get(late[0] ?? '')).catch(() => undefined)
    return items.map((item) => acceptances.get(item) ?? duplicate)
  }

  const group = grouped(flush, { maxSize: maxGroup, maxWeight: maxGroupBytes, weightOf: bytesOf })

  return {
    idle: group.idle,
    accept: (arrival, withinMs) =>
      new Promise((resolve, reject) => {
        const item: Item = { arrival, expired: false }
        const expire = (): void => {
          item.expired = true
          reject(unavailable(new Error(`no commit within ${withinMs} ms`)))
        }
        const timer = setTimeout(expire, withinMs)
        group
          .add(item)
          .then(resolve, (thrown) => reject(unavailable(thrown)))
          .finally(() => clearTimeout(timer))
      }),
  }
}

/** About the size of its payload; one without text is taken for its bytes, or for small. */
const bytesOf = ({ arrival: { json, event } }: Item): number =>
  json?.length ?? (event.data instanceof Uint8Array ? event.data.byteLength : 0)
