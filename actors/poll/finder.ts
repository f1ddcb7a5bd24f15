import type { Log } from '../../machines/driver.ts'
import type { ControllerError } from '../../machines/errors.ts'
import type { Queryable } from '../../machines/journal.ts'
import type { PollCommon } from './options.ts'

/**
 * One way of finding rows and making events of them. `find` runs in a transaction of the journal, under the lock of the
 * source, and may run again from the start when that transaction is repeated. When it resolves, the events it gives are
 * in the journal, leased to this replica, and durable with the commit.
 */
export interface Finder {
  /** Proves that what it reads is there and usable as configured. Changes nothing. */
  verify(tx: Queryable): Promise<void>
  find(tx: Queryable, limit: number): Promise<Page>
  /** The journal has committed the page. */
  committed(): Promise<void>
}

export interface Page {
  readonly events: readonly Journaled[]
  /** There may be more where these came from: the next poll need not wait. */
  readonly more: boolean
}

/** A row as an event on its way into the journal. */
export interface Found {
  readonly id: string
  readonly key: string
  readonly type: string
  /** The row, verbatim. */
  readonly json: string
  readonly data: unknown
  readonly extensions?: Readonly<Record<string, string | number | boolean>>
  /** The row cannot be read, or `type` made nothing of it. */
  readonly error?: ControllerError
}

export interface Journaled extends Found {
  readonly seq: string
  /** The replica that it is leased to. */
  readonly lease: string
}

/** What every finder knows of its source. */
export interface Watch {
  /** Name of the configured source. */
  readonly source: string
  /** CloudEvents `source` of its events. */
  readonly ceSource: string
  readonly type: PollCommon['type']
  /** The journal's schema, quoted. */
  readonly schema: string
  replica(): string
  readonly log: Log
}
