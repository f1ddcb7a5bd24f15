import type { Driver, DriverHost, Link } from '../machines/driver.ts'
import type { Intake } from '../machines/journal.ts'
import { createConditionFinder } from './poll/condition.ts'
import { type Database, openDatabase } from './poll/database.ts'
import type { Finder, Watch } from './poll/finder.ts'
import { createInsideFinder } from './poll/inside.ts'
import { createPollLink, type PollLink } from './poll/link.ts'
import type { ConditionOptions, PollCommon, TriggerOptions } from './poll/options.ts'
import { createOutboxFinder } from './poll/outbox.ts'
import { pollError } from './poll/pollError.ts'
import { pollOnce, recover, type Undelivered } from './poll/round.ts'
import { quoteName } from './poll/sql.ts'
import { createSweepFinder } from './poll/sweep.ts'

/**
 * The database poller: watches tables and queries of any Postgres.
 *
 * - `mode: 'trigger'`: each row of a table that meets `where` becomes an event, once. `take` says how a taken row is
 *   told: `mark` sets columns so that it meets `where` no more, `delete` deletes it, `track` leaves it alone and
 *   remembers its key and version in the journal.
 * - `mode: 'condition'`: a query gives keys. A new key is an event (rising edge), a gone one another where `clears` asks
 *   for it, one that stays a reminder every `everyMs`.
 *
 * What holds for all:
 *
 * - An event is durable, and leased to this replica, in the very transaction that takes its row. So a row is picked
 *   exactly once and handled at least once. With a database other than the journal's: see `poll/outbox.ts`.
 * - The id of an event says which version of which row it is: `<key>@<xmin>`, `<key>@<version>`, `<key>@<since>`. The
 *   same version is never a second event; a row marked `new` again later is a new one.
 * - One key is handled in order: while an event of a key lives in the journal, what comes after it waits in its table
 *   and holds up nobody else. Parked events hold up nothing.
 * - Of all replicas one polls a source at a time: an advisory lock of the journal's database, held for a transaction.
 * - Never more rows are taken than the source has free credit.
 * - SQL runs with `TimeZone` UTC, so that keys and versions read the same everywhere.
 */
export type PollOptions = PollCommon & (TriggerOptions | ConditionOptions)

export const createPollDriver = (options: PollOptions, intake: Intake): Driver => {
  const undelivered: Undelivered = []
  let receipts = 0
  const nextReceipt = () => ++receipts
  let link: PollLink | undefined

  const connect = async (host: DriverHost): Promise<Link> => {
    // A poll of the link before may still be under way.
    await link?.disconnect()
    const opened: Database[] = []
    const open = async (url: string): Promise<Database> => {
      const database = await openDatabase(url, (thrown) => link?.lose(thrown))
      opened.push(database)
      return database
    }
    const close = async (): Promise<void> => {
      await Promise.all(opened.map((database) => database.close()))
    }
    try {
      const watch = watchOf(options, intake, host)
      const finder = finderFor(options, watch, options.url === undefined ? undefined : await open(options.url))
      await intake.transaction((tx) => finder.verify(tx))
      const parts = { intake, watch, finder, undelivered }
      const poll = (limit: number, asked: () => void) => pollOnce(parts, limit, asked)
      const pageSize = () => pageSizeOf(options, host.credit.events)
      link = createPollLink({
        host,
        options,
        pageSize,
        undelivered,
        nextReceipt,
        recover: () => recover(parts),
        poll,
        close,
      })
      await listen(options, host, open, link.wake)
      return link
    } catch (thrown) {
      await close()
      throw pollError(thrown, 'SOURCE_CONNECT_FAILED')
    }
  }
  return { kind: 'database.trigger', connect }
}

/** Half of the credit, so that one page is taken while the other is handled; but each page of a condition costs its query. */
const pageSizeOf = ({ mode, pageSize }: PollOptions, credit: number): number =>
  Math.min(pageSize ?? credit, mode === 'trigger' ? Math.ceil(credit / 2) : credit)

/** On a connection of its own: the other one is busy with a poll just when a call matters. */
const listen = async (
  { notify, notifyUrl, url }: PollOptions,
  host: DriverHost,
  open: (url: string) => Promise<Database>,
  wake: () => void,
): Promise<void> => {
  if (notify === undefined) return
  const address = notifyUrl ?? url
  if (address === undefined) host.log.warn({ notify }, 'no address to LISTEN at: the source only polls')
  else await (await open(address)).listen(notify, wake)
}

const watchOf = (options: PollOptions, intake: Intake, host: DriverHost): Watch => ({
  source: host.source,
  ceSource: `koksmat:${host.source}`,
  type: options.type,
  schema: quoteName(intake.schema),
  replica: () => intake.replica(),
  log: host.log,
})

const finderFor = (options: PollOptions, watch: Watch, database: Database | undefined): Finder => {
  if (options.mode === 'condition') return createConditionFinder(options, watch, database)
  if (database === undefined) return createInsideFinder(options, watch)
  return 'track' in options.take
    ? createSweepFinder(options, options.take.track.version, watch, database)
    : createOutboxFinder(options, watch, database)
}
