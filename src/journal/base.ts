import type { Log } from '../../machines/driver.ts'
import type { Queryable } from '../../machines/journal.ts'
import type { Pool } from './pool.ts'
import type { Names } from './schema.ts'
import type { Wakes } from './wake.ts'

/** What the parts of the journal share. */
export interface Base {
  readonly names: Names
  readonly pool: Pool
  readonly log: Log
  readonly wakes: Wakes
  /** The lease owner of this process. */
  replica(): string
  /** Leases turned out to be lost: look at once whether this replica still counts as alive. */
  leaseLost(): void
  /** The journal was found not to answer. */
  isDown(): boolean
  /**
   * Tries again while Postgres cannot be reached or asks for it, until it is done.
   *
   * @throws ControllerError JOURNAL_UNAVAILABLE when the journal is closed meanwhile
   */
  untilDone<Result>(run: () => Promise<Result>): Promise<Result>
  /** One transaction that takes effect once: when the outcome of its commit is unknown it is looked up. Until done. */
  once<Result>(run: (tx: Queryable) => Promise<Result>): Promise<Result>
}
