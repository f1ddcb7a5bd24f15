import type { EventKind, SourceKind } from '../../machines/event.ts'
import { journalQueue, longQueue } from '../../machines/journal.ts'
import type { ResolvedHandler } from '../config/resolved.ts'
import type { SourceDefinition } from '../define.ts'
import type { ManualClock } from './clock.ts'
import { createLocks, type Locks } from './journal/locks.ts'
import { createStore, type Store } from './journal/store.ts'
import type { Answer } from './journal/wire.ts'
import { createTestBroker, type TestBroker } from './sources.ts'

/** What outlives a process of the controller: the journal's tables, the brokers, the clock. */
export interface World {
  readonly definition: WorldDefinition
  readonly clock: ManualClock
  readonly store: Store
  readonly locks: Locks
  readonly answer: Answer
  readonly sources: ReadonlyMap<string, SourceDefinition>
  readonly brokers: ReadonlyMap<string, TestBroker>
  /** @throws Error for a source that is not configured */
  kindOf(source: string): EventKind
  /** When the next event that somebody listens for falls due. */
  nextDue(): number | undefined
}

export interface WorldDefinition {
  readonly sources?: Readonly<Record<string, SourceDefinition>>
  readonly handlers: readonly ResolvedHandler[]
  readonly concurrency?: number
  readonly longConcurrency?: number
}

const kinds: Readonly<Record<SourceKind, EventKind>> = {
  queue: 'queue.event',
  database: 'database.trigger',
  webhook: 'webhook.event',
}

const alone: WorldDefinition['sources'] = { test: { driver: 'rabbitmq', kind: 'queue', options: {} } }

export const createWorld = (definition: WorldDefinition, clock: ManualClock, answer: Answer): World => {
  const store = createStore(clock)
  const sources = new Map(Object.entries(definition.sources ?? alone))
  const kindOf = (name: string): EventKind => {
    const source = sources.get(name)
    if (source === undefined)
      throw new Error(`There is no source ${name}; there are: ${[...sources.keys()].join(', ')}.`)
    return kinds[source.kind]
  }
  const brokers = new Map(
    [...sources]
      .filter(([, { driver }]) => driver === 'rabbitmq' || driver === 'kafka')
      .map(([name, { driver }]) => [name, createTestBroker(kindOf(name), driver === 'kafka')]),
  )
  const queues = new Set([...sources.keys(), journalQueue, longQueue])
  return {
    definition,
    clock,
    store,
    locks: createLocks(),
    answer,
    sources,
    brokers,
    kindOf,
    nextDue: () => {
      const due = [...store.rows.values()].filter(({ state, queue }) => state === 'ready' && queues.has(queue))
      return due.length === 0 ? undefined : Math.min(...due.map(({ dueAt }) => dueAt))
    },
  }
}
