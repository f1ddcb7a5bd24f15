import type { Hosts } from './hosts.ts'
import type { World } from './world.ts'

/** What goes wrong, at moments that the seed knows. */
export const planFaults = (world: World, hosts: Hosts, withinMs: number): void => {
  const { network, book, queue } = world
  const { time, chance } = network

  const faults: Readonly<Record<string, () => void>> = {
    kill: () => {
      const replica = hosts.any()
      if (replica === undefined) return
      book.fault('kill')
      replica.process.die()
    },
    freeze: () => {
      const replica = hosts.any()
      if (replica === undefined) return
      book.fault('freeze')
      const ms = chance.between(100, 7_000)
      replica.process.frozenUntil = time.now() + ms
      book.note(replica.process, `freezes for ${ms} ms`)
      hosts.disturb(ms)
      // Heartbeats of the broker, and idle transactions that the database ends.
      if (ms > 2_000) time.schedule(undefined, 2_000, () => queue.cut(replica.process))
      if (ms > 4_000) time.schedule(undefined, 4_000, replica.breakOff)
    },
    drain: () => {
      const replica = hosts.any()
      if (replica === undefined) return
      book.fault('drain')
      replica.drain()
    },
    cut: () => {
      book.fault('cut')
      book.note(undefined, 'cuts the broker')
      hosts.disturb(0)
      queue.cut()
    },
    'broker down': () => {
      book.fault('broker down')
      const ms = chance.between(100, 1_500)
      book.note(undefined, `broker down for ${ms} ms`)
      hosts.disturb(ms)
      queue.refuse()
      time.schedule(undefined, ms, queue.heal)
    },
    'database down': () => {
      book.fault('database down')
      const ms = chance.between(50, 1_500)
      book.note(undefined, `database down for ${ms} ms`)
      hosts.disturb(ms)
      world.downUntil = time.now() + ms
      for (const replica of hosts.all()) replica.breakOff()
    },
  }

  const names = Object.keys(faults)
  const count = chance.is(0.1) ? 0 : chance.between(1, 6)
  for (let each = 0; each < count; each++) {
    const name = chance.pick(names)
    time.schedule(undefined, chance.between(50, withinMs), () => faults[name]?.())
  }
  world.brokenClaims = count > 0 && chance.is(0.3) ? 0.1 : 0
  world.brokenCommits = count > 0 && chance.is(0.3) ? 0.1 : 0
  hosts.mortal(count > 0 && chance.is(0.6))
}
