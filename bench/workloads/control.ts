import { createFakeDriver } from '../support/fakeDriver.ts'
import { unusedJournal } from '../support/journal.ts'
import { credit, handlerOf, walk } from '../support/walk.ts'
import type { OpenSide, Workload } from '../workload.ts'

/** `waiting`: so many events are in flight at any moment, until no more come. */
const walkOf =
  (waiting: number, keys = 0): OpenSide =>
  async (events) => {
    const { ledger } = unusedJournal()
    const handlers = [handlerOf(async () => undefined)]
    const more = keys === 0 ? () => ({}) : (no: number) => ({ partitionkey: `key-${no % keys}` })
    const first = Math.min(waiting, events)
    return {
      prepare: async () =>
        walk({
          driver: createFakeDriver({ events, first, more }),
          handlers,
          ledger,
          events,
          credit: { ...credit, events: Math.max(credit.events, waiting) },
        }),
      close: async () => undefined,
    }
  }

const alone: Omit<Workload, 'name' | 'about'> = {
  events: 300_000,
  servers: [],
  goals: [],
  sides: {},
}

export const control: Workload = {
  ...alone,
  name: 'control',
  about: 'the control channel alone: no IO and no journal, so there is nothing to compare it with',
  goals: [{ perSecond: 150_000 }],
  sides: { controller: walkOf(100) },
}

export const controlBacklog: Workload = {
  ...alone,
  name: 'controlBacklog',
  about: 'the control channel while 100,000 events wait in it, against 1,000',
  goals: [{ share: 0.9 }],
  sides: { '100,000 wait': walkOf(100_000), '1,000 wait': walkOf(1_000) },
}

export const keys: Workload = {
  ...alone,
  name: 'keys',
  about: 'the control channel with 1,000 events waiting, each with one of 10,000 keys, against none with a key',
  goals: [],
  sides: { '10,000 keys': walkOf(1_000, 10_000), 'no key': walkOf(1_000) },
}
