import { identityOf } from '../../machines/event.ts'
import { type Acceptance, type Arrival, journalQueue, type Queryable } from '../../machines/journal.ts'
import type { Base } from './base.ts'
import { isDataRefused, unavailable } from './failures.ts'
import { grouped } from './group.ts'
import { insertText, insertValues } from './insert.ts'
import { storedIdentity } from './rows.ts'

/**
 * The door for webhooks: an event is leased to this replica by the very insert. Three things make it a duplicate: the
 * same event earlier in the group, a live row of it, or the mark of its success. Marks are looked up after the insert,
 * because only then is a settlement that ran at the same moment either visible or impossible.
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

const maxGroup = 500
const duplicate: Acceptance = { status: 'duplicate' }

export const createAccepting = (base: Base): Accepting => {
  const { names, pool } = base
  const insert = insertText(
    names,
    `on conflict (ce_source, id) do update set
       queue = excluded.queue, via = excluded.via, kind = excluded.kind, type = excluded.type, key = excluded.key,
       envelope = excluded.envelope, data = excluded.data, raw = excluded.raw, state = 'leased', due = now(),
       lease_by = excluded.lease_by, redelivered = false, attempts = 0, parked_at = null
     where e.state = 'parked'
     returning e.seq::text, e.ce_source as source, e.id`,
  )
  const removeSeen = `delete from ${names.quoted}.event e using ${names.quoted}.seen s
    where e.seq = any($1::bigint[]) and s.ce_source = e.ce_source and s.id = e.id and s.until > now()
    returning e.seq::text`

  const insertAll = async (
    tx: Queryable,
    arrivals: readonly Arrival[],
    asRaw: boolean,
  ): Promise<Map<string, string>> => {
    const rows = arrivals.map(
      (arrival) => ({ arrival, queue: journalQueue, state: 'leased', leaseBy: base.replica() }) as const,
    )
    const inserted = await tx.query<{ seq: string; source: string; id: string }>(insert, insertValues(rows, asRaw))
    const seqs = new Map(inserted.rows.map((row) => [identityOf(row), row.seq]))
    const seen = await tx.query<{ seq: string }>(removeSeen, [[...seqs.values()]])
    if (seen.rows.length === 0) return seqs
    const removed = new Set(seen.rows.map(({ seq }) => seq))
    return new Map([...seqs].filter(([, seq]) => !removed.has(seq)))
  }

  const store = async (arrivals: readonly Arrival[]): Promise<Map<string, string>> => {
    try {
      return await base.once((tx) => insertAll(tx, arrivals, false))
    } catch (thrown) {
      if (!isDataRefused(thrown)) throw thrown
      return base.once((tx) => insertAll(tx, arrivals, true))
    }
  }

  const giveBack = async (seqs: readonly string[]): Promise<void> => {
    await base.untilDone(() =>
      pool.query(
        `update ${names.quoted}.event set state = 'ready', lease_by = null where seq = any($1::bigint[]) and lease_by = $2`,
        [seqs, base.replica()],
      ),
    )
    base.wakes.in(journalQueue, 0)
  }

  const flush = async (items: readonly Item[]): Promise<readonly Acceptance[]> => {
    const first = new Map<string, Item>()
    for (const item of items) {
      const identity = storedIdentity(item.arrival.event)
      if (!item.expired && !first.has(identity)) first.set(identity, item)
    }
    const seqs =
      first.size === 0 ? new Map<string, string>() : await store([...first.values()].map(({ arrival }) => arrival))
    const late: string[] = []
    const acceptances = items.map((item) => {
      const identity = storedIdentity(item.arrival.event)
      const seq = seqs.get(identity)
      if (seq === undefined || first.get(identity) !== item) return duplicate
      if (item.expired) late.push(seq)
      return { status: 'accepted', row: { seq, attempts: 0 } } as const
    })
    if (late.length > 0) giveBack(late).catch(() => undefined)
    return acceptances
  }

  const group = grouped(flush, { maxSize: maxGroup })

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
