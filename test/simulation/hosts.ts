import type { ControllerOutput } from '../../machines/controller.ts'
import { type Replica, startReplica } from './replica.ts'
import type { World } from './world.ts'

/** Two machines; on each a supervisor starts the controller again when it has ended, however it did. */
export interface Hosts {
  start(): void
  all(): readonly Replica[]
  /** One that lives. */
  any(): Replica | undefined
  /** Something disturbs the world for so long; a drain meanwhile need not be clean. */
  disturb(ms: number): void
  /** Whether processes die by themselves at some step. */
  mortal(yes: boolean): void
  /** From now on nothing dies by itself. */
  heal(): void
  /** Ends all, and starts none again. */
  drainAll(): void
  allStopped(): boolean
}

const calmMs = 1_500

export const createHosts = (world: World): Hosts => {
  const { network, book } = world
  const { time, chance } = network
  const living = new Map<string, Replica>()
  let isMortal = false
  let keepsUp = true
  let disturbedUntil = Number.NEGATIVE_INFINITY
  let starts = 0

  const start = (host: string): void => {
    if (!keepsUp) return
    const replica = startReplica(world, `${host}${++starts}`, (stopped, output) => onStopped(host, stopped, output))
    if (isMortal && chance.is(0.6)) replica.process.stepsToLive = chance.between(20, 1_500)
    living.set(host, replica)
    replica.process.onDeath(() => {
      checkCounts(replica)
      if (living.get(host) !== replica) return
      if (replica.process.stepsToLive <= 0) book.fault('death at a step')
      living.delete(host)
      time.schedule(undefined, chance.between(0, 800), () => start(host))
    })
  }

  const checkCounts = (replica: Replica): void => {
    for (const wrong of replica.miscounted()) book.violated(`${replica.process.name} counts ${wrong}`)
  }

  const onStopped = (host: string, replica: Replica, { clean }: ControllerOutput): void => {
    const { process } = replica
    book.note(process, `stopped, ${clean ? 'clean' : 'not clean'}`)
    checkCounts(replica)
    living.delete(host)
    const began = replica.drainsSince() ?? time.now()
    const calm = disturbedUntil < began - calmMs && !process.isUnsure
    if (calm && !clean) book.violated(`${process.name} drained without a disturbance and did not end clean`)
    if (calm) for (const left of replica.leftovers()) book.violated(`${process.name} stopped, but ${left}`)
    time.schedule(undefined, 2_000, () => {
      const pending = time.pendingOf(process)
      if (calm && pending > 0)
        book.violated(`${process.name} stopped, and ${pending} things of it were to happen still`)
      process.die()
    })
    time.schedule(undefined, chance.between(0, 800), () => start(host))
  }

  return {
    start: () => {
      start('a')
      start('b')
    },
    all: () => [...living.values()],
    any: () => (living.size === 0 ? undefined : chance.pick([...living.values()])),
    disturb: (ms) => {
      disturbedUntil = Math.max(disturbedUntil, time.now() + ms)
    },
    mortal: (yes) => {
      isMortal = yes
    },
    heal: () => {
      isMortal = false
      for (const { process } of living.values()) process.stepsToLive = Number.POSITIVE_INFINITY
    },
    drainAll: () => {
      keepsUp = false
      for (const replica of living.values()) replica.drain()
    },
    allStopped: () => living.size === 0,
  }
}
