import { createFakeDriver } from './fakeDriver.ts'
import { unusedJournal } from './journal.ts'
import { handlerOf, walk } from './walk.ts'
import type { Workload } from './workload.ts'

const events = 300_000

/** The control channel alone: no IO, no journal; there is nothing to compare it with. */
export const control: Workload = {
  name: 'control',
  events,
  goal: { perSecond: 150_000 },
  open: async () => {
    const { ledger } = unusedJournal()
    const handler = handlerOf(async () => undefined)
    return {
      controller: async () => walk({ driver: createFakeDriver(events, 100), handler, ledger, events }),
      close: async () => undefined,
    }
  },
}
