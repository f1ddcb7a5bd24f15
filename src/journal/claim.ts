import { escapeLiteral } from 'pg'
import type { Claimed } from '../../machines/journal.ts'
import type { Base } from './base.ts'
import { unavailable } from './failures.ts'
import { claimedOf, type EventRow, eventColumnNames, eventColumns } from './rows.ts'
import { attempt } from './transaction.ts'
import { wakeHorizonMs } from './wake.ts'

/**
 * Leases due rows. A claim fails at once when Postgres cannot be reached, since whoever claims polls anyway; rows that
 * were leased by a claim whose outcome never came to be known are given back as soon as that is possible. It is asked
 * in the round trip that begins the transaction, hence without parameters.
 */
export const createClaim = (base: Base): ((queue: string, limit: number) => Promise<readonly Claimed[]>) => {
  const { names, pool, wakes } = base
  const claimText = (queue: string, limit: number, replica: string): string => `
    with taken as (
      update ${names.quoted}.event e set state = 'leased', lease_by = ${replica}
      where e.seq = any(array(
        select seq from ${names.quoted}.event
        where queue = ${escapeLiteral(queue)} and state = 'ready' and due <= now()
        order by priority desc, due, seq limit ${limit} for update skip locked
      ))
      returning ${eventColumns}, e.priority, e.due
    )
    select ${eventColumnNames} from taken order by priority desc, due, seq::bigint`

  const giveBack = async (replica: string, xid: string): Promise<void> => {
    await base.untilDone(() =>
      pool.query(
        `update ${names.quoted}.event set state = 'ready', lease_by = null
         where state = 'leased' and lease_by = $1 and xmin = $2::text::xid8::xid`,
        [replica, xid],
      ),
    )
  }

  const wakeWhenDue = async (queue: string): Promise<void> => {
    const { rows } = await pool.query<{ ms: number | null }>(
      `select ceil(extract(epoch from min(due) - now()) * 1000)::integer as ms from ${names.quoted}.event
       where queue = $1 and state = 'ready' and due > now() and due < now() + $2 * interval '1 millisecond'`,
      [queue, wakeHorizonMs],
    )
    const ms = rows[0]?.ms ?? 0
    if (ms > 0) wakes.in(queue, ms)
  }

  return async (queue, limit) => {
    try {
      const replica = base.replica()
      const opening = claimText(queue, Math.max(0, Math.trunc(limit)), replica)
      const ended = await attempt(pool, async (_tx, rows) => rows as EventRow[], { opening })
      if (ended.status === 'unknown') {
        giveBack(replica, ended.number.xid).catch(() => undefined)
        throw ended.error
      }
      const rows = ended.result
      if (rows.length === 0 && limit > 0) await wakeWhenDue(queue)
      return rows.map((row) => claimedOf(row, replica))
    } catch (thrown) {
      throw unavailable(thrown)
    }
  }
}
