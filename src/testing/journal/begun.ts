import { type ArrivedEvent, identityOf } from '../../../machines/event.ts'
import type { Ledger, Verdict } from '../../../machines/journal.ts'
import type { BegunRun, Store } from './store.ts'

/** Calls the journal as the replica that this process is by then. */
export type CallAs = <Result>(apply: (replica: string) => Result) => Promise<Result>

const mostAcquittals = 2

/** With which events processes died, as `src/journal/begun.ts` keeps it. */
export const createBegun = (store: Store, call: CallAs): Pick<Ledger, 'judge' | 'calm' | 'begin' | 'beginAlone'> => {
  const died = ({ leaseBy }: BegunRun, owner: string): boolean => {
    if (leaseBy === undefined || leaseBy === owner) return false
    const known = store.replicas.get(leaseBy)
    return known === undefined || known.lostAt !== undefined
  }

  const judgeOne = (event: ArrivedEvent, owner: string): Verdict => {
    const run = store.begun.get(identityOf(event))
    if (run === undefined) return 'clear'
    const mine = run.leaseBy === owner
    if (died(run, owner)) {
      if (!run.held) run.deaths++
      else if (run.passed++ < mostAcquittals) run.deaths = 0
      run.leaseBy = undefined
    }
    run.held = run.deaths === 1 && (run.held || !mine)
    if (run.deaths === 1) run.leaseBy = owner
    if (run.deaths === 0) return 'clear'
    return run.deaths === 1 ? 'suspect' : 'guilty'
  }

  const beginOne = (event: ArrivedEvent, owner: string): number => {
    const run = store.begun.get(identityOf(event)) ?? { deaths: 0, leaseBy: undefined, held: false, passed: 0 }
    const deaths = run.deaths + (died(run, owner) ? 1 : 0)
    store.begun.set(identityOf(event), { ...run, deaths, held: false, leaseBy: deaths === 0 ? owner : undefined })
    return deaths
  }

  const free = (event: ArrivedEvent, owner: string): void => {
    const run = store.begun.get(identityOf(event))
    if (run?.leaseBy === owner) run.leaseBy = undefined
  }

  return {
    judge: (events) => call((owner) => events.map((event) => judgeOne(event, owner))),
    calm: () =>
      call((owner) => {
        for (const run of store.begun.values()) {
          if (!run.held || run.leaseBy !== owner) continue
          run.held = false
          run.leaseBy = undefined
        }
      }),
    begin: (events, over = []) =>
      call((owner) => {
        for (const event of over) free(event, owner)
        return events.map((event) => beginOne(event, owner))
      }),
    beginAlone: (event) =>
      call((owner) => {
        const run = store.begun.get(identityOf(event)) ?? { deaths: 0, passed: 0 }
        store.begun.set(identityOf(event), { ...run, held: false, leaseBy: owner })
      }),
  }
}
