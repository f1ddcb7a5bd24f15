import type { JournalRow } from '../../machines/driver.ts'
import type { ArrivedEvent } from '../../machines/event.ts'
import type { Done, Ending, Failed, Moved } from '../../machines/journal.ts'
import { storedIdentity } from './rows.ts'

/** Endings of one lease, sorted by the statement that makes them durable. Each list is one statement, and an empty one is none. */
export interface Plan {
  /** By the time they are to be remembered; undefined: not at all. */
  readonly doneRows: ReadonlyMap<number | undefined, readonly WithRow<Done>[]>
  /** Done without a row, to be remembered; the first of each identity. */
  readonly marks: readonly Done[]
  /** Done, with something to emit or to count. */
  readonly effects: readonly Done[]
  readonly failedRows: readonly WithRow<Failed>[]
  readonly failedEvents: readonly Failed[]
  readonly movedRows: readonly WithRow<Moved>[]
  readonly movedEvents: readonly Moved[]
  readonly releasedRows: readonly JournalRow[]
  /** Their begun runs are over. */
  readonly over: readonly ArrivedEvent[]
  /** Their begun runs were given up without an ending. */
  readonly givenUp: readonly ArrivedEvent[]
}

export type WithRow<E> = E & { readonly row: JournalRow }

export const planOf = (endings: readonly Ending[]): Plan => {
  const done = endings.filter((ending) => ending.as === 'done')
  const failed = endings.filter((ending): ending is Failed => ending.as === 'retry' || ending.as === 'park')
  const moved = endings.filter((ending) => ending.as === 'move')
  const released = endings.filter((ending) => ending.as === 'release')
  const begun = endings.filter((ending) => ending.begun === true)
  return {
    doneRows: Map.groupBy(done.filter(hasRow), ({ keepMs }) => keepMs),
    marks: firstOfEach(done.filter((ending) => ending.row === undefined && ending.keepMs !== undefined)),
    effects: done.filter(({ emits, counters }) => (emits?.length ?? 0) > 0 || Object.keys(counters ?? {}).length > 0),
    failedRows: failed.filter(hasRow),
    failedEvents: firstOfEach(failed.filter(({ row }) => row === undefined)),
    movedRows: moved.filter(hasRow),
    movedEvents: moved.filter(({ row }) => row === undefined),
    releasedRows: released.flatMap(({ row }) => row ?? []),
    over: firstOfEach(begun.filter(({ as }) => as !== 'release' && as !== 'move')).map(({ event }) => event),
    givenUp: firstOfEach(begun.filter(({ as }) => as === 'release' || as === 'move')).map(({ event }) => event),
  }
}

/**
 * Whether it may run outside a transaction: a single statement that changes nothing when it runs twice.
 */
export const standsAlone = (plan: Plan): boolean => {
  const { doneRows, effects, failedEvents, movedEvents, ...others } = plan
  if (effects.length + failedEvents.length + movedEvents.length > 0) return false
  return doneRows.size + Object.values(others).filter((list) => list.length > 0).length <= 1
}

export const hasRow = <E extends { readonly row?: JournalRow }>(ending: E): ending is WithRow<E> =>
  ending.row !== undefined

/** Nearly always all stand under one lease; those without a row go with that of `replica`. */
export const byLease = (endings: readonly Ending[], replica: string): readonly (readonly Ending[])[] =>
  endings.every(({ row }) => row === undefined || row.lease === replica)
    ? [endings].filter(({ length }) => length > 0)
    : [...Map.groupBy(endings, ({ row }) => row?.lease ?? replica).values()]

/** Of events with one identity the first. */
export const firstOfEach = <E extends { readonly event: ArrivedEvent }>(endings: readonly E[]): readonly E[] => {
  const found = new Map<string, E>()
  for (const ending of endings) {
    const identity = storedIdentity(ending.event)
    if (!found.has(identity)) found.set(identity, ending)
  }
  return [...found.values()]
}
