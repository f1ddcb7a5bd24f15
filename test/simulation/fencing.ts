import type { Ending, Ledger } from '../../machines/journal.ts'
import type { World } from './world.ts'

/**
 * Stands between a process and its journal, whatever that is, and sees to it that a settlement under a lease that was
 * lost changes nothing: a row that another living replica has meanwhile is still that one's afterwards, unless that one
 * has settled it itself.
 */
export const watchFencing = (world: World, ledger: Ledger): Ledger => {
  const { store, book, settled } = world
  const note = (endings: readonly Ending[]): void => {
    for (const { row } of endings) if (row !== undefined) settled.add(`${row.seq} ${row.lease}`)
  }
  const holderOf = ({ row }: Ending): string | undefined => {
    const holder = row === undefined ? undefined : store.rows.get(row.seq)?.leaseBy
    return holder === row?.lease || holder === undefined || !store.replicas.has(holder) ? undefined : holder
  }
  return {
    ...ledger,
    settle: async (endings) => {
      note(endings)
      const lost = endings.flatMap((ending) => ({ ending, holder: holderOf(ending) }))
      await ledger.settle(endings)
      for (const { ending, holder } of lost) {
        if (holder === undefined || holderOf(ending) === holder || !store.replicas.has(holder)) continue
        if (settled.has(`${ending.row?.seq} ${holder}`)) continue
        book.violated(`${ending.event.id} was settled under a lease that was lost`)
      }
    },
    underLock: (lock, settings, run) =>
      ledger.underLock(lock, settings, (tx) =>
        run({
          ...tx,
          settle: (endings) => {
            note(endings)
            return tx.settle(endings)
          },
        }),
      ),
  }
}
