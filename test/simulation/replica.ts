import { createTableQueueDriver } from '../../actors/tableQueue.ts'
import type { ControllerOutput } from '../../machines/controller.ts'
import type { Driver } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { ArrivedEvent } from '../../machines/event.ts'
import { type Intake, journalQueue, type Ledger, longQueue } from '../../machines/journal.ts'
import { sourceMachine } from '../../machines/source.ts'
import { sourceCounts } from '../../src/runtime/sourceActors.ts'
import { createMemoryJournal } from '../../src/testing/journal/journal.ts'
import { brokenOff } from '../../src/testing/journal/underLock.ts'
import type { Wire } from '../../src/testing/journal/wire.ts'
import { createReplica, silentLog } from '../../src/testing/replica.ts'
import { createDurableDoor, observed } from '../../src/testing/sources.ts'
import { watchFencing } from './fencing.ts'
import { concurrency, handlersOf } from './handlers.ts'
import { createProcess, type Process } from './process.ts'
import type { World } from './world.ts'

/** One process of the controller in the simulated world, from its start to its exit or its death. */
export interface Replica {
  readonly process: Process
  /** Undefined while it takes no webhooks. */
  readonly door: ReturnType<typeof createDurableDoor>
  isListening(): boolean
  drain(): void
  /** Its transactions come to nothing, as when its sessions are ended. */
  breakOff(): void
  /** Since when it drains. */
  drainsSince(): number | undefined
  /** What of it is still leased, unacknowledged or running. */
  leftovers(): readonly string[]
  /** The counters of the product do not add up. */
  miscounted(): readonly string[]
}

const bytes = 1_000_000
const leaseMs = 3_000
const beatMs = 1_000
const pollMs = { min: 100, max: 800 }
const policy = { preStopMs: 0, drainMs: 6_000, abortMs: 1_000, closeMs: 1_500 }

export const startReplica = (
  world: World,
  name: string,
  onStopped: (replica: Replica, output: ControllerOutput) => void,
): Replica => {
  const { network, book, store, locks, queue, mutant } = world
  const { time } = network
  const process = createProcess(name)
  const journal = createMemoryJournal({ store, locks, answer: () => [], wire: wireOf(world, process), leaseMs })
  let drainsSince: number | undefined
  let isOpen = false
  let isClosing = false

  process.onDeath(() => {
    book.note(process, 'dies')
    journal.cut()
  })

  let beating: Promise<unknown> = Promise.resolve()
  let heart: ReturnType<typeof setTimeout> | undefined
  const keepLease = (): void => {
    beating = Promise.allSettled([journal.beat(), journal.watch()])
    heart = setTimeout(keepLease, beatMs)
  }
  const intake = breakingClaims(world, journal.intake, (rows) =>
    journal.ledger.settle(rows.map(({ event, row }) => ({ as: 'release', event, row }))),
  )
  const tableQueue = (queueName: string): Driver => createTableQueueDriver({ queue: queueName, pollMs }, intake)
  const door = createDurableDoor('webhook.event', journal.intake)
  const ledger = mutant.ledger?.(journal.ledger, world, journal.intake.replica) ?? journal.ledger
  const leases = new WeakMap<ArrivedEvent, string>()
  const noting = (driver: Driver): Driver =>
    observed(driver, {
      connected: () => undefined,
      delivered: ({ event, row }) => void (row === undefined || leases.set(event, row.lease)),
      settled: () => undefined,
    })
  const { root } = createReplica({
    sources: {
      orders: { driver: queue.driver(process), credit: { events: 8, bytes } },
      tasks: { driver: noting(tableQueue('tasks')), credit: { events: 6, bytes } },
      hooks: { driver: noting(door.driver), credit: { events: 16, bytes } },
      [journalQueue]: { driver: noting(tableQueue(journalQueue)), credit: { events: 20, bytes } },
      [longQueue]: { driver: noting(tableQueue(longQueue)), credit: { events: 3, bytes } },
    },
    handlers: handlersOf({
      book,
      network,
      process,
      leaseOf: (event) => leases.get(event),
      isGood: (lease) => store.replicas.has(lease),
    }),
    concurrency,
    lockWaitMs: 15_000,
    policy,
    calmMs: 1_000,
    journal: {
      open: async () => {
        await journal.open()
        if (isOpen || isClosing) return
        isOpen = true
        keepLease()
      },
      close: async () => {
        isClosing = true
        clearTimeout(heart)
        await beating
        await (mutant.close?.(world) ?? journal.close())
      },
    },
    ledger: watchFencing(world, breakingCommits(world, ledger)),
    log: silentLog,
    source: mutant.source?.(sourceMachine) ?? sourceMachine,
  })

  const replica: Replica = {
    process,
    door,
    isListening: () =>
      process.isAlive &&
      root.getSnapshot().matches('running') &&
      root.getSnapshot().context.sources['hooks']?.state === 'listening',
    drain: () =>
      void time.schedule(process, 0, () => {
        drainsSince ??= time.now()
        book.note(process, 'drains')
        root.send({ type: 'controller.drain', reason: 'simulated' })
      }),
    breakOff: () => {
      process.isUnsure = true
      journal.breakOff()
    },
    drainsSince: () => drainsSince,
    leftovers: () => [
      ...(store.replicas.has(journal.intake.replica()) ? ['it did not leave the journal'] : []),
      ...[...store.rows.values()]
        .filter(({ leaseBy }) => leaseBy === journal.intake.replica())
        .map(({ event }) => `${event.id} is leased`),
      ...(queue.unacked(process) > 0 ? [`${queue.unacked(process)} messages are unacknowledged`] : []),
      ...book.runs
        .filter((run) => run.process === process && run.ended === undefined && run.kind !== 'hang')
        .map(({ id }) => `${id} runs`),
    ],
    miscounted: () =>
      Object.keys(root.getSnapshot().context.sources).flatMap((source) => {
        const { accepted, settled, inFlight } = sourceCounts(root.getSnapshot(), source)
        return accepted === settled + inFlight && inFlight >= 0
          ? []
          : [`${source}: ${accepted} ≠ ${settled} + ${inFlight}`]
      }),
  }
  root.subscribe({
    next: ({ value }) => {
      if (value !== undefined && typeof value === 'object' && 'draining' in value && value['draining'] === 'aborting')
        process.isUnsure = true
    },
    complete: () => onStopped(replica, root.getSnapshot().output as ControllerOutput),
    error: (thrown) => book.violated(`the root of ${name} died: ${String(thrown)}`),
  })
  time.schedule(process, 0, () => {
    book.note(process, 'starts')
    root.start()
  })
  return replica
}

/** While the database is down, what asks once fails, and what does not give up waits. */
const wireOf = (world: World, process: Process): Wire => {
  const { network } = world
  const { time } = network
  const reach = <Result>(apply: () => Result | Promise<Result>, patience: 'once' | 'untilDone'): Promise<Result> =>
    network.ask(process, () => {
      if (time.now() >= world.downUntil) return apply()
      if (patience === 'once') throw brokenOff()
      return new Promise<Result>((resolve, reject) => {
        const again = (): void => {
          if (!process.isAlive) return
          if (time.now() < world.downUntil) return void time.schedule(undefined, world.downUntil - time.now(), again)
          try {
            resolve(apply())
          } catch (thrown) {
            reject(thrown)
          }
        }
        time.schedule(undefined, world.downUntil - time.now() + network.delay(), again)
      })
    })
  return {
    call: reach,
    push: (tell) => {
      // NOTIFY may be lost; polling covers.
      if (network.chance.is(0.9)) time.schedule(process, network.delay(), tell)
    },
  }
}

/** Now and then the outcome of a claim is not known, and what it leased is given back. */
const breakingClaims = (
  world: World,
  intake: Intake,
  giveBack: (rows: Awaited<ReturnType<Intake['claim']>>) => Promise<void>,
): Intake => ({
  ...intake,
  claim: async (queue, limit) => {
    const rows = await intake.claim(queue, limit)
    if (rows.length === 0 || !world.network.chance.is(world.brokenClaims)) return rows
    world.book.fault('broken claim')
    for (const { row } of rows) world.settled.add(`${row.seq} ${row.lease}`)
    void giveBack(rows)
    throw new ControllerError('JOURNAL_UNAVAILABLE', 'The outcome of a claim is not known.')
  },
})

/** Now and then a transaction is committed, and whoever asked for it hears of an error. */
const breakingCommits = (world: World, ledger: Ledger): Ledger => ({
  ...ledger,
  underLock: async (lock, settings, run) => {
    const result = await ledger.underLock(lock, settings, run)
    if (!world.network.chance.is(world.brokenCommits)) return result
    world.book.fault('broken commit')
    throw new ControllerError('JOURNAL_UNAVAILABLE', 'The outcome of a commit is not known.')
  },
})
