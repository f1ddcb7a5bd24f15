import { createFakeDriver } from '../support/fakeDriver.ts'
import { unusedJournal } from '../support/journal.ts'
import { handlerOf, walk } from '../support/walk.ts'
import type { Workload } from '../workload.ts'

export const control: Workload = {
  name: 'control',
  about: 'the control channel alone: no IO and no journal, so there is nothing to compare it with',
  events: 300_000,
  servers: [],
  goals: [{ perSecond: 150_000 }],
  sides: {
    controller: async (events) => {
      const { ledger } = unusedJournal()
      const handlers = [handlerOf(async () => undefined)]
      return {
        prepare: async () => walk({ driver: createFakeDriver(events, 100), handlers, ledger, events }),
        close: async () => undefined,
      }
    },
  },
}
