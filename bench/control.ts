import { createJournal } from '../src/journal/journal.ts'
import { createLog } from '../src/log.ts'
import { createFakeDriver } from './fakeDriver.ts'
import { handlerOf, walk } from './walk.ts'
import type { Workload } from './workload.ts'

const events = 300_000

/** The control channel alone: no IO, no journal; there is nothing to compare it with. */
export const control: Workload = {
  name: 'control',
  events,
  goal: { perSecond: 150_000 },
  open: async () => {
    // Never opened: the happy path of a broker event does not touch it.
    const { ledger } = createJournal({
      url: 'postgres://127.0.0.1:1/none',
      schema: 'none',
      migrate: false,
      version: 'bench',
      replicaName: 'bench',
      log: createLog({ level: 'silent', format: 'json' }),
      onHealth: () => undefined,
    })
    const handler = handlerOf(async () => undefined)
    return {
      controller: async () => walk({ driver: createFakeDriver(events, 100), handler, ledger, events }),
      close: async () => undefined,
    }
  },
}
