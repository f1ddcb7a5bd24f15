import type { JournalRow } from '../../../machines/driver.ts'
import { type ArrivedEvent, identityOf } from '../../../machines/event.ts'
import { type Done, type Ending, type Failed, journalQueue, type Moved } from '../../../machines/journal.ts'
import { planOf } from '../../journal/plan.ts'
import type { BegunRun, Row, Store } from './store.ts'

/**
 * The settlement of endings, planned as the real journal plans it. Rows that do not stand under their lease any more are
 * left alone, with everything their ending wanted to write. Returns how many those were.
 */
export const settleIn = (store: Store, replica: string, endings: readonly Ending[]): number => {
  const plan = planOf(endings)
  const effective = new Set(plan.effects.filter(({ row, keepMs }) => row === undefined && keepMs === undefined))
  let lost = 0
  const held = (journalRow: JournalRow): Row | undefined => {
    const row = store.rows.get(journalRow.seq)
    if (row?.state === 'leased' && row.leaseBy === journalRow.lease) return row
    lost++
    return undefined
  }

  for (const [keepMs, done] of plan.doneRows) {
    for (const ending of done) {
      const row = held(ending.row)
      if (row === undefined) continue
      store.remove(row)
      if (keepMs === undefined || store.mark(ending.event, keepMs)) effective.add(ending)
    }
  }
  for (const ending of plan.marks) if (store.mark(ending.event, ending.keepMs ?? 0)) effective.add(ending)
  for (const ending of plan.effects) if (effective.has(ending)) applyEffects(store, ending)
  for (const ending of plan.failedRows) {
    const row = held(ending.row)
    if (row !== undefined) fail(store, row, ending)
  }
  for (const ending of plan.failedEvents) failEvent(store, ending)
  for (const ending of plan.movedRows) {
    const row = held(ending.row)
    if (row !== undefined) move(store, row, ending)
  }
  for (const { event, queue } of plan.movedEvents) {
    if (store.insert({ event, queue }) !== undefined) store.wake(queue, 0)
  }
  for (const released of plan.releasedRows) {
    const row = held(released)
    if (row !== undefined) makeReady(store, row, Math.min(row.dueAt, store.clock.now()))
  }
  for (const event of plan.over) endBegun(store, replica, event)
  for (const event of plan.givenUp) freeBegun(store, replica, event)
  return lost
}

/** What a handler has asked for: emitted events and counters. */
export const applyEffects = (store: Store, { emits = [], emitDelaysMs = [], counters = {} }: Done): void => {
  for (const [index, arrival] of emits.entries()) {
    const dueInMs = emitDelaysMs[index] ?? 0
    if (store.insert({ ...arrival, queue: journalQueue, dueInMs }) === undefined) continue
    store.emitted.push(arrival.event)
    store.wake(journalQueue, dueInMs)
  }
  for (const [name, n] of Object.entries(counters)) store.counters.set(name, (store.counters.get(name) ?? 0) + n)
}

/** The record of a run ends with it. */
export const endBegun = (store: Store, replica: string, event: ArrivedEvent): void => {
  const record = store.begun.get(identityOf(event))
  if (record !== undefined && isBegunHere(store, replica, record)) store.begun.delete(identityOf(event))
}

/** Also under the number that this replica had before it was declared dead. */
const isBegunHere = (store: Store, replica: string, { leaseBy }: BegunRun): boolean =>
  leaseBy === undefined || leaseBy === replica || !store.replicas.has(leaseBy)

const freeBegun = (store: Store, replica: string, event: ArrivedEvent): void => {
  const record = store.begun.get(identityOf(event))
  if (record === undefined || !isBegunHere(store, replica, record)) return
  record.leaseBy = undefined
  record.held = false
}

const fail = (store: Store, row: Row, { as, dueInMs, attempts, history, event }: Failed): void => {
  row.attempts = attempts
  row.history = [...row.history, ...history]
  row.event = { ...row.event, via: event.via }
  if (as === 'park') park(store, row)
  else makeReady(store, row, store.clock.now() + dueInMs)
}

const failEvent = (store: Store, { as, event, raw, queue, attempts, history, dueInMs }: Failed): void => {
  const known = store.rowOf(event)
  if (known !== undefined && known.state !== 'parked') return
  if (known !== undefined) store.remove(known)
  const row = store.insert({
    event,
    queue,
    attempts,
    history: [...(known?.history ?? []), ...history],
    dueInMs,
    ...(raw === undefined ? {} : { raw }),
  })
  if (row === undefined) return
  if (as === 'park') park(store, row)
  else store.wake(queue, dueInMs)
}

const move = (store: Store, row: Row, { queue, event }: Moved): void => {
  row.queue = queue
  row.event = { ...row.event, via: event.via }
  makeReady(store, row, store.clock.now())
}

const park = (store: Store, row: Row): void => {
  row.state = 'parked'
  row.leaseBy = undefined
  row.parkedAt = store.clock.now()
}

export const makeReady = (store: Store, row: Row, dueAt: number): void => {
  row.state = 'ready'
  row.leaseBy = undefined
  row.dueAt = dueAt
  store.wake(row.queue, dueAt - store.clock.now())
}
