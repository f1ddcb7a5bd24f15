import type { Done } from '../../machines/journal.ts'
import type { WithRow } from './plan.ts'
import { storedIdentity } from './rows.ts'
import type { Names } from './schema.ts'

/** What became of rows whose events were handled. */
export interface Finish {
  /** How many were still leased to this replica. */
  readonly held: number
  /** Those of them whose mark is new, or that have none. */
  readonly effective: readonly Done[]
}

/** What the function `finish` tells (see 0005_accept.sql). */
export interface Finished {
  readonly gone: readonly string[] | null
  readonly fresh: readonly string[] | null
}

/**
 * Deletes rows, and writes their marks if there are to be any, for the values of `finishValues`: the parameters from
 * `first` on.
 */
export const finishCall = ({ quoted }: Names, first: number): string =>
  `${quoted}.finish($${first}::bigint[], $${first + 1}::bigint, $${first + 2}::bigint)`

export const finishValues = (done: readonly WithRow<Done>[], keepMs: number | undefined): readonly unknown[] => [
  done.map(({ row }) => row.seq),
  // That of the first is that of all.
  done[0]?.row.lease,
  keepMs,
]

export const finishOf = (done: readonly WithRow<Done>[], { gone, fresh }: Finished): Finish => {
  if (gone === null) return { held: done.length, effective: done }
  const held = new Set(gone)
  const isFresh = fresh && new Set(fresh)
  const effective = done.filter(({ row, event }) => held.has(row.seq) && (isFresh?.has(storedIdentity(event)) ?? true))
  return { held: held.size, effective }
}
