import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AnyActorRef } from 'xstate'
import { createInspector, type Inspector } from '../../inspector/index.ts'
import type { Driver } from '../../machines/driver.ts'
import { createFakeDriver } from '../support/fakeDriver.ts'
import { unusedJournal } from '../support/journal.ts'
import { handlerOf, type WalkParts, walk } from '../support/walk.ts'
import type { OpenSide, Run, Workload } from '../workload.ts'

const everyMs = 10
const perTick = 10

const walkOf = (driver: Driver, events: number, more: Partial<WalkParts> = {}): Run => {
  const { ledger } = unusedJournal()
  return walk({ driver, handlers: [handlerOf(async () => undefined)], ledger, events, ...more })
}

const fast = (events: number): Driver => createFakeDriver({ events })
const steady = (events: number): Driver => createFakeDriver({ events, batchSize: perTick, everyMs })

const without =
  (driverOf: (events: number) => Driver): OpenSide =>
  async (events) => ({
    prepare: async () => walkOf(driverOf(events), events),
    close: async () => undefined,
  })

/** The inspector listens, and nobody has come. */
const unwatched: OpenSide = async (events) => ({
  prepare: async () => {
    let inspector: Inspector | undefined
    const look = (root: AnyActorRef): Inspector => {
      inspector = createInspector({ port: 0 })(root)
      return inspector
    }
    const run = walkOf(fast(events), events, { look, end: async () => inspector?.close() })
    await inspector?.listening
    return run
  },
  close: async () => undefined,
})

/** A viewer in a process of its own watches all events, all states and the snapshot of the root. */
const watched: OpenSide = async (events) => ({
  prepare: async () => {
    let inspector: Inspector | undefined
    const look = (root: AnyActorRef): Inspector => {
      inspector = createInspector({ port: 0 })(root)
      return inspector
    }
    const end = async (): Promise<void> => {
      if (inspector?.observers() !== 1) throw new Error('The viewer was gone before the end.')
      await inspector.close()
    }
    const run = walkOf(steady(events), events, { look, end })
    const viewer = fork(new URL('../support/viewer.child.ts', import.meta.url), [(await inspector?.listening) ?? ''])
    await once(viewer, 'disconnect')
    while (inspector?.observers() !== 1) await sleep(10)
    return run
  },
  close: async () => undefined,
})

export const inspectorUnwatched: Workload = {
  name: 'inspector-unwatched',
  about: 'the control channel with an inspector that nobody looks into, beside none at all',
  events: 300_000,
  servers: [],
  goals: [{ share: 0.99 }],
  sides: { controller: unwatched, bare: without(fast) },
}

export const inspectorWatched: Workload = {
  name: 'inspector-watched',
  about: 'about 1,000 events/s while a viewer watches everything, beside none at all: 50 µs an event are 5 % of a core',
  events: 5_000,
  servers: [],
  goals: [{ cpuAbove: 50 }],
  sides: { controller: watched, bare: without(steady) },
}
