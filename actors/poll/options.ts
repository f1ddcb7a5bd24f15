/** What the poller is told, with every default in place. See `poll.ts`. */
export interface PollCommon {
  /** Of the events, or how to tell it from a row. */
  readonly type: string | ((row: Record<string, unknown>) => string)
  /** The database to watch; absent: the journal's own. */
  readonly url?: string
  /** Most rows a page; absent: half the credit, for conditions all of it. */
  readonly pageSize?: number
  /** Between polls: `min` while there is work, doubled with each empty poll up to `max`. */
  readonly pollMs: { readonly min: number; readonly max: number }
  /** A channel of the watched database whose NOTIFY starts a poll at once. */
  readonly notify?: string
  /** Where to LISTEN for `notify`; absent: `url`. For the journal's own database its address has to be given here. */
  readonly notifyUrl?: string
}

export interface TriggerOptions {
  readonly mode: 'trigger'
  /** `invoices` or `shop.invoices`, letter case as it is stored. */
  readonly table: string
  /** The column that names a row, unique in the table. Rows without one are not picked. */
  readonly key: string
  /** SQL that a row must meet; absent: every row does. */
  readonly where?: string
  /** The columns of `event.data`; absent: all. They show the row as it was found, before a mark. */
  readonly columns?: readonly string[]
  readonly take:
    | { readonly mark: Readonly<Record<string, string | number | boolean | null>> }
    | { readonly delete: true }
    | { readonly track: { readonly version: string } }
}

export interface ConditionOptions {
  readonly mode: 'condition'
  /** SQL that gives at most 10,000 rows, one a key, with a column `key`. The row is `event.data`. */
  readonly query: string
  /** Type of the event when a key is gone; its data is the row as it was last told. Absent: no such event. */
  readonly clears?: string
  /** Remind of keys that stay, with the same type and the extension `reminder` (1, 2, …). Absent: never. */
  readonly everyMs?: number
}
