import { type Acceptance, type Arrival, type Done, journalQueue } from '../../machines/journal.ts'
import type { Base } from './base.ts'
import { isDataRefused, unavailable } from './failures.ts'
import { type Finish, type Finished, finishCall, finishOf, finishValues } from './finish.ts'
import { grouped } from './group.ts'
import { acceptValues } from './insert.ts'
import { createNumbers } from './numbers.ts'
import type { WithRow } from './plan.ts'
import { storedIdentity } from './rows.ts'

/**
 * The door for webhooks: an event is leased to this replica by the very insert. Three things make it a duplicate: the
 * same event earlier in the group, a live row of it, or the mark of its success. Marks are looked up after the insert,
 * because only then is a settlement that ran at the same moment either visible or impossible. That holds for one in the
 * same statement too, whichever of both Postgres begins with.
 *
 * The insert is one statement without a transaction around it, and may be repeated when its outcome is unknown: each
 * event has its number before, so a row that is there under this number is its own.
 *
 * A caller whose time is over gets its answer and the group goes on; what is committed for it after all is given back,
 * so that it is handled although nobody was told.
 */
export interface Accepting {
  accept(arrival: Arrival, withinMs: number): Promise<Acceptance>
  /**
   * Lets the next group take a settlement along: one statement and one commit instead of two. Undefined when there is no
   * next group, when another settlement goes with it, or when it failed: then the settlement goes by itself.
   */
  takeAlong(done: readonly WithRow<Done>[], keepMs: number | undefined): Promise<Finish | undefined>
  idle(): Promise<void>
}

interface Item {
  readonly arrival: Arrival
  expired: boolean
  acceptance: Acceptance
}

/** Rows that were to be written: which of them are there (null: all), and under whose lease. */
interface Written {
  readonly accepted: readonly string[] | null
  readonly lease: string
}

/** A settlement that goes with a group. */
interface Along {
  readonly done: readonly WithRow<Done>[]
  readonly keepMs: number | undefined
  resolve(finish: Finish | undefined): void
}

/** The numbers of those that were accepted; null: all. */
interface Accepted extends Finished {
  readonly accepted: readonly string[] | null
}

const maxGroup = 500
const maxGroupBytes = 8 * 1024 * 1024
const duplicate: Acceptance = { status: 'duplicate' }

export const createAccepting = (base: Base): Accepting => {
  const { names, pool } = base
  const numbers = createNumbers(pool, names)
  const event = `${names.quoted}.event`
  const acceptText = `select accepted.*, finished.*
    from ${names.quoted}.accept($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) as accepted,
      ${finishCall(names, 13)} as finished`
  const ours = `where seq = any($1::bigint[]) and lease_by = $2`
  let along: Along | undefined

  const insertOnce = async (
    items: readonly Item[],
    seqs: readonly string[],
    asRaw: boolean,
    company: Along,
  ): Promise<Written> => {
    const lease = base.replica()
    const { done, keepMs } = company
    const arrivals = items.map(({ arrival }) => arrival)
    const values = [...acceptValues(arrivals, asRaw), seqs, lease, ...finishValues(done, keepMs)]
    const { rows } = await pool.repeated<Accepted>('accept', acceptText, values)
    const written = rows[0] as Accepted
    company.resolve(finishOf(done, written))
    return { accepted: written.accepted, lease }
  }

  const store = async (items: readonly Item[], seqs: readonly string[]): Promise<Written> => {
    const company = along ?? { done: [], keepMs: undefined, resolve: () => undefined }
    along = undefined
    try {
      return await base.untilDone(() => insertOnce(items, seqs, false, company))
    } catch (thrown) {
      if (!isDataRefused(thrown)) throw thrown
      return await base.untilDone(() => insertOnce(items, seqs, true, company))
    } finally {
      company.resolve(undefined)
    }
  }

  const giveBack = async (seqs: readonly string[], lease: string): Promise<void> => {
    await base.untilDone(() =>
      pool.query(`update ${event} set state = 'ready', lease_by = null ${ours}`, [seqs, lease]),
    )
    base.wakes.in(journalQueue, 0)
  }

  /** Those that are to be inserted: no second one of an event, and none whose caller has given up. */
  const firstsOf = (items: readonly Item[]): readonly Item[] => {
    const firsts = new Map<string, Item>()
    for (const item of items) {
      const identity = storedIdentity(item.arrival.event)
      if (!item.expired && !firsts.has(identity)) firsts.set(identity, item)
    }
    return [...firsts.values()]
  }

  const flush = async (items: readonly Item[]): Promise<readonly Acceptance[]> => {
    const firsts = firstsOf(items)
    if (firsts.length === 0) return items.map(({ acceptance }) => acceptance)
    const seqs = await base.untilDone(() => numbers.draw(firsts.length))
    const { accepted, lease } = await store(firsts, seqs)
    const isWritten = accepted && new Set(accepted)
    const late: string[] = []
    for (const [index, seq] of seqs.entries()) {
      if (isWritten?.has(seq) === false) continue
      const item = firsts[index] as Item
      item.acceptance = { status: 'accepted', row: { seq, lease, attempts: 0 } }
      if (item.expired) late.push(seq)
    }
    if (late.length > 0) giveBack(late, lease).catch(() => undefined)
    return items.map(({ acceptance }) => acceptance)
  }

  const onIdle = (): void => {
    along?.resolve(undefined)
    along = undefined
  }
  const group = grouped(flush, {
    maxSize: maxGroup,
    maxWeight: maxGroupBytes,
    weightOf: bytesOf,
    first: 'results',
    onIdle,
  })

  return {
    idle: group.idle,
    takeAlong: async (done, keepMs) => {
      if (along !== undefined || !group.isUnderWay()) return undefined
      return new Promise((resolve) => {
        along = { done, keepMs, resolve }
      })
    },
    accept: (arrival, withinMs) =>
      new Promise((resolve, reject) => {
        const item: Item = { arrival, expired: false, acceptance: duplicate }
        const expire = (): void => {
          item.expired = true
          reject(unavailable(new Error(`no commit within ${withinMs} ms`)))
        }
        const timer = setTimeout(expire, withinMs)
        group.add(item).then(
          (acceptance) => {
            clearTimeout(timer)
            resolve(acceptance)
          },
          (thrown) => {
            clearTimeout(timer)
            reject(unavailable(thrown))
          },
        )
      }),
  }
}

/** About the size of its payload; one without text is taken for its bytes, or for small. */
const bytesOf = ({ arrival: { json, event } }: Item): number =>
  json?.length ?? (event.data instanceof Uint8Array ? event.data.byteLength : 0)
