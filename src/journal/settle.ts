import { type Ending, journalQueue, type Queryable } from '../../machines/journal.ts'
import type { Accepting } from './accept.ts'
import type { Base } from './base.ts'
import { isDataRefused } from './failures.ts'
import { byLease, type Plan, planOf, standsAlone } from './plan.ts'
import { createSteps, type Held } from './steps.ts'

/**
 * Makes endings durable, in as few statements as they need: most groups are one `delete`, which needs no transaction.
 * It does not give up: a settlement that was not written would be done again.
 *
 * A row that does not stand under the lease any more under which it was taken is left alone, with everything its ending
 * wanted to write: also when this very replica, declared dead and registered anew, has taken it again.
 */
interface Settled {
  readonly lost: number
  /** When rows of a queue fall due, in ms. */
  readonly wakes: ReadonlyMap<string, number>
}

export const createSettle = (
  base: Base,
  takeAlong: Accepting['takeAlong'],
): ((endings: readonly Ending[]) => Promise<void>) => {
  const steps = createSteps(base.names, base.replica)

  const write = async (tx: Queryable, plan: Plan, asRaw: boolean): Promise<Settled> => {
    const effective = new Set(plan.effects.filter(({ row, keepMs }) => row === undefined && keepMs === undefined))
    let lost = 0
    const held: Held[] = []
    for (const [keepMs, done] of plan.doneRows) {
      const finish = await steps.finish(tx, done, keepMs)
      lost += done.length - finish.held
      for (const ending of finish.effective) effective.add(ending)
    }
    if (plan.marks.length > 0) for (const ending of await steps.mark(tx, plan.marks)) effective.add(ending)
    const effects = plan.effects.filter((ending) => effective.has(ending))
    if (effects.length > 0) {
      await steps.emit(tx, effects, asRaw)
      await steps.count(tx, effects)
    }
    if (plan.failedRows.length > 0) held.push(...(await steps.failRows(tx, plan.failedRows)))
    if (plan.failedEvents.length > 0) await steps.failEvents(tx, plan.failedEvents, asRaw)
    if (plan.movedRows.length > 0) held.push(...(await steps.moveRows(tx, plan.movedRows)))
    if (plan.movedEvents.length > 0) await steps.moveEvents(tx, plan.movedEvents, asRaw)
    if (plan.releasedRows.length > 0) held.push(...(await steps.releaseRows(tx, plan.releasedRows)))
    if (plan.over.length > 0) await steps.endBegun(tx, plan.over)
    if (plan.givenUp.length > 0) await steps.freeBegun(tx, plan.givenUp)
    lost += plan.failedRows.length + plan.movedRows.length + plan.releasedRows.length - held.length
    return { lost, wakes: wakesOf(plan, held) }
  }

  const persist = async (plan: Plan): Promise<Settled> => {
    const persistAs = (asRaw: boolean): Promise<Settled> =>
      standsAlone(plan)
        ? base.untilDone(() => write(base.pool, plan, asRaw))
        : base.once((tx) => write(tx, plan, asRaw))
    try {
      return await persistAs(false)
    } catch (thrown) {
      if (!isDataRefused(thrown)) throw thrown
      return persistAs(true)
    }
  }

  /** Where nothing but a few rows is to be finished an acceptance that is to be written as well saves it the commit. */
  const alongside = async (plan: Plan): Promise<Settled | undefined> => {
    const [only] = plan.doneRows
    if (only === undefined || !standsAlone(plan)) return undefined
    const [keepMs, done] = only
    if (done.length > mostAlong) return undefined
    const finish = await takeAlong(done, keepMs)
    return finish && { lost: done.length - finish.held, wakes: new Map() }
  }

  const settle = async (endings: readonly Ending[]): Promise<void> => {
    const plan = planOf(endings)
    const { lost, wakes } = (await alongside(plan)) ?? (await persist(plan))
    if (lost > 0) {
      base.log.warn({ lost, of: endings.length }, 'journal rows were not leased to this replica any more')
      base.leaseLost()
    }
    for (const [queue, ms] of wakes) base.wakes.in(queue, ms)
  }

  return async (endings) => {
    for (const leased of byLease(endings, base.replica())) await settle(leased)
  }
}

/** Rows: senders of webhooks wait for it. */
const mostAlong = 128
const never = Number.POSITIVE_INFINITY

const wakesOf = (plan: Plan, held: readonly Held[]): ReadonlyMap<string, number> => {
  const wakes = new Map<string, number>()
  const wake = (queue: string, ms: number): void => {
    wakes.set(queue, Math.min(ms, wakes.get(queue) ?? never))
  }
  const dueIn = new Map(plan.failedRows.map(({ row, as, dueInMs }) => [row.seq, as === 'park' ? never : dueInMs]))
  for (const { seq, queue } of held) wake(queue, dueIn.get(seq) ?? 0)
  for (const { as, queue, dueInMs } of plan.failedEvents) if (as === 'retry') wake(queue, dueInMs)
  for (const { queue } of plan.movedEvents) wake(queue, 0)
  for (const { emits = [], emitDelaysMs = [] } of plan.effects) {
    for (const index of emits.keys()) wake(journalQueue, emitDelaysMs[index] ?? 0)
  }
  return wakes
}
