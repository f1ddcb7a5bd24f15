import type { Log } from '../../machines/driver.ts'
import type { Queryable } from '../../machines/journal.ts'
import { every } from './every.ts'
import type { Session } from './listen.ts'
import { freeOrphans, removeDead } from './reap.ts'
import type { Names } from './schema.ts'
import type { Wakes } from './wake.ts'

/**
 * This process as an owner of leases: one row in `replica`, renewed by a heartbeat, and an advisory lock held by the
 * session. Rows are leased to the replica, so renewing the one renews them all.
 *
 * Each replica also watches the others. One whose lock was free for a second, or whose time is over, is dead: its row is
 * deleted, and every event leased to a replica that is not there becomes ready again, flagged as redelivered. A replica
 * that was only frozen finds itself missing when it wakes; it registers anew under another number, and what it
 * settles of the old one has no effect on rows that somebody took over, itself included.
 */
export interface Lease {
  replica(): string
  open(): Promise<void>
  /** Looks at once whether this replica still counts as alive. */
  check(): void
  /** Gives every lease back and leaves. Rejects when Postgres does not answer. */
  leave(): Promise<void>
  /** Stops watching; what is leased stays leased. */
  stop(): Promise<void>
}

export interface LeaseOptions {
  readonly names: Names
  readonly db: Queryable
  readonly session: Session
  readonly wakes: Wakes
  readonly log: Log
  readonly name: string
  readonly version: string
  readonly leaseMs: number
  readonly heartbeatMs: number
}

const watchMs = 1_000

export const createLease = (options: LeaseOptions): Lease => {
  const { names, db, session, wakes, log, leaseMs } = options
  const { quoted } = names
  let replica = '0'

  const register = async (): Promise<void> => {
    const { rows } = await db.query<{ id: string }>(
      `insert into ${quoted}.replica (name, version, alive_until)
       values ($1, $2, now() + $3 * interval '1 millisecond') returning id::text`,
      [options.name, options.version, leaseMs],
    )
    replica = rows[0]?.id ?? '0'
    await session.hold(replica)
  }

  const beat = async (): Promise<void> => {
    const { rowCount } = await db.query(
      `update ${quoted}.replica set alive_until = now() + $2 * interval '1 millisecond' where id = $1`,
      [replica, leaseMs],
    )
    if (rowCount === 0) {
      const lost = replica
      await register()
      log.warn({ replica, lost }, 'journal leases lost: this replica had been declared dead, and registered anew')
    }
    await free()
  }

  const free = async (): Promise<void> => {
    const freed = await freeOrphans(db, names)
    for (const queue of Object.keys(freed)) wakes.in(queue, 0)
    if (Object.keys(freed).length > 0) log.info({ freed }, 'journal events taken back from dead replicas')
  }

  const watch = async (): Promise<void> => {
    const dead = await removeDead(db, names, replica)
    if (dead.length === 0) return
    log.info({ dead }, 'journal replicas found dead')
    await free()
  }

  let heart: ReturnType<typeof every> | undefined
  let eyes: ReturnType<typeof every> | undefined

  return {
    replica: () => replica,
    open: async () => {
      await register()
      await watch()
      await free()
      heart = every(options.heartbeatMs, beat)
      eyes = every(watchMs, watch)
    },
    check: () => void heart?.now(),
    leave: async () => {
      await db.query(
        `with given as (
           update ${quoted}.event set state = 'ready', lease_by = null where lease_by = $1 returning queue
         ), gone as (
           delete from ${quoted}.replica where id = $1
         ), begun as (
           update ${quoted}.begun set lease_by = null, held = false where lease_by = $1
         )
         select pg_notify($2, '0 ' || queue) from (select queue from given union select 'journal') as queues`,
        [replica, names.channel],
      )
    },
    stop: async () => {
      await Promise.all([heart?.stop(), eyes?.stop()])
    },
  }
}
