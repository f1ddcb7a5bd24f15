import { createTableQueueDriver } from '../../actors/tableQueue.ts'
import type { ControllerOutput } from '../../machines/controller.ts'
import type { Delivery, Driver, Link, Settlement } from '../../machines/driver.ts'
import type { ArrivedEvent } from '../../machines/event.ts'
import { journalQueue, longQueue } from '../../machines/journal.ts'
import type { Clock } from '../jobs/deadlines.ts'
import { createMemoryJournal } from './journal/journal.ts'
import type { Wire } from './journal/wire.ts'
import { createReplica, type ReplicaSource, silentLog } from './replica.ts'
import { createDurableDoor, observed } from './sources.ts'
import type { World } from './world.ts'

/** One process of the controller under test, from its start to its end or its death. */
export interface Life {
  readonly running: Promise<void>
  readonly stopped: Promise<ControllerOutput>
  /** Taken and not settled. */
  inFlight(): number
  /** Brings an event through a source; false for a duplicate at the door. */
  bring(source: string, event: ArrivedEvent): Promise<boolean>
  drain(): void
  /** From now on nothing that this process does has an effect; what it held is free. */
  kill(): void
}

const bytes = 64 * 1_024 * 1_024
/** The clock of the test wakes the queues; polling is what a lost announcement would need. */
const pollMs = { min: 60_000, max: 60_000 }
const policy = { preStopMs: 0, drainMs: 18_750, abortMs: 3_125, closeMs: 3_125 }

export const startLife = (
  world: World,
  onSettled: (source: string, delivery: Delivery, settlement: Settlement) => void,
): Life => {
  const { definition, clock, store, locks, answer, brokers, sources } = world
  let dead = false
  const inFlight = new Set<Delivery>()
  const links: Link[] = []
  const doors = new Map<string, ReturnType<typeof createDurableDoor>>()
  const journal = createMemoryJournal({ store, locks, answer, wire: wireUntil(() => dead) })

  const driverOf = (name: string): Driver => {
    const broker = brokers.get(name)
    if (broker !== undefined) return broker.driver()
    const source = sources.get(name)
    if (source === undefined || source.driver === 'tableQueue') {
      return createTableQueueDriver({ queue: name, pollMs }, journal.intake)
    }
    const door = createDurableDoor(world.kindOf(name), journal.intake)
    doors.set(name, door)
    return door.driver
  }
  const sourceOf = (name: string, events: number): [string, ReplicaSource] => {
    const driver = observed(driverOf(name), {
      connected: (link) => void links.push(link),
      delivered: (delivery) => void inFlight.add(delivery),
      settled: (delivery, settlement) => {
        inFlight.delete(delivery)
        if (!dead) onSettled(name, delivery, settlement)
      },
    })
    return [name, { driver, credit: { events, bytes } }]
  }

  const { root } = createReplica({
    sources: Object.fromEntries([
      ...[...sources.keys()].map((name) => sourceOf(name, 32)),
      sourceOf(journalQueue, 200),
      sourceOf(longQueue, definition.longConcurrency ?? 8),
    ]),
    handlers: definition.handlers,
    concurrency: definition.concurrency ?? 16,
    lockWaitMs: 30_000,
    policy,
    journal,
    ledger: journal.ledger,
    log: silentLog,
    clock: clockUntil(clock, () => dead),
    calmMs: 0,
  })
  const running = Promise.withResolvers<void>()
  const stopped = Promise.withResolvers<ControllerOutput>()
  root.subscribe({
    next: (snapshot) => {
      const listening = Object.values(snapshot.context.sources).every(({ state }) => state === 'listening')
      if (snapshot.matches('running') && listening) running.resolve()
    },
    complete: () => stopped.resolve(root.getSnapshot().output as ControllerOutput),
    error: (thrown) => {
      running.reject(thrown)
      stopped.reject(thrown)
    },
  })
  root.start()

  return {
    running: running.promise,
    stopped: stopped.promise,
    inFlight: () => inFlight.size,
    bring: async (name, event) => {
      const door = doors.get(name)
      if (door !== undefined) return door.take(event)
      const broker = brokers.get(name)
      if (broker !== undefined) broker.put(event)
      else if (store.insert({ event, queue: name }) === undefined) return false
      else store.wake(name, 0)
      return true
    },
    drain: () => root.send({ type: 'controller.drain', reason: 'test' }),
    kill: () => {
      dead = true
      journal.cut()
      store.replicas.delete(journal.intake.replica())
      store.freeOrphans()
      root.stop()
      for (const link of links) void link.disconnect()
    },
  }
}

/** Calls happen at once; a dead process gets no answer. */
const wireUntil = (isDead: () => boolean): Wire => ({
  call: async (apply) => {
    const answer = isDead() ? undefined : await apply()
    return isDead() ? new Promise<never>(() => undefined) : (answer as Awaited<ReturnType<typeof apply>>)
  },
  push: (tell) => {
    if (!isDead()) tell()
  },
})

const clockUntil = (clock: Clock, isDead: () => boolean): Clock => ({
  now: clock.now,
  setTimeout: (fire, ms) =>
    clock.setTimeout(() => {
      if (!isDead()) fire()
    }, ms),
  clearTimeout: clock.clearTimeout,
})
