import type { Ending } from '../../machines/journal.ts'
import { settleIn } from '../../src/testing/journal/settle.ts'
import type { Mutant } from './world.ts'

export const mutants: Readonly<Record<string, Mutant>> = {
  /** The source hears of a settlement before it is durable. */
  'ack before commit': {
    ledger: (ledger) => ({
      ...ledger,
      settle: async (endings) => {
        void ledger.settle(endings)
      },
    }),
  },
  /** Whoever settles a row is taken for its owner, also a replica that lost it. */
  'no fencing': {
    ledger: (ledger, { network, store, book }, replica) => ({
      ...ledger,
      settle: (endings) => {
        const asOwner = (ending: Ending): void => {
          const { row } = ending
          const lease = (row && store.rows.get(row.seq)?.leaseBy) ?? row?.lease
          if (lease !== row?.lease) book.fault('unfenced')
          const owned = row === undefined || lease === undefined ? ending : { ...ending, row: { ...row, lease } }
          settleIn(store, replica(), [owned])
        }
        const process = network.time.current()
        return new Promise((resolve) => {
          network.time.schedule(undefined, network.delay(), () => {
            for (const ending of endings) asOwner(ending)
            network.time.schedule(process, network.delay(), resolve)
          })
        })
      },
    }),
  },
  /** What a replica had leased stays leased to it. */
  'lease never given back': {
    ledger: (ledger) => ({
      ...ledger,
      settle: (endings) => ledger.settle(endings.filter(({ as }) => as !== 'release')),
    }),
    close: async () => undefined,
  },
  /** An event counts as handled from the moment when somebody asks whether it was. */
  'dedup before success': {
    ledger: (ledger, { store }) => ({
      ...ledger,
      seen: async (events) => {
        const seen = await ledger.seen(events)
        for (const event of events) store.mark(event, 3_600_000)
        return seen
      },
    }),
  },
  /** A source closes although what it brought is not settled. */
  'drain that does not wait': {
    source: (machine) => machine.provide({ guards: { nothingInFlight: () => true } }),
  },
}

export const sound: Mutant = {}
