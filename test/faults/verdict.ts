import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { ParkedSummary } from '../../machines/journal.ts'
import type { World } from '../e2e/lifecycle.harness.ts'
import { judge } from '../support/oracle.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'
import type { Measured } from './record.ts'

/** How many effects there are. */
export const effectsOf = async ({ database, name }: World, like = '%'): Promise<number> => {
  const query = `select count(*)::int as n from ${name}.effects where id like $1`
  return (await database.query<{ n: number }>(query, [like])).rows[0]?.n ?? 0
}

/**
 * After a fault has healed: all that was confirmed has its effect and all is empty, twice, two seconds apart; nothing
 * was lost, nothing is unexpected, and the counters of the product agree.
 *
 * @returns the figures of the oracle
 */
export const settled = async (world: World, ms = 30_000): Promise<Measured> => {
  const { database, name, ledger } = world
  await until(async () => (await world.empty()) && (await judge(database, name, ledger)).lost.length === 0, ms).catch(
    async (cause) => {
      const { lost } = await judge(database, name, ledger)
      const [status, parked] = [await world.admin('/status'), await world.admin('/events')]
      const found = JSON.stringify({ lost: lost.slice(0, 20), parked, status })
      throw new Error(`${lost.length} of ${ledger.acked.size} have no effect after ${ms} ms: ${found}`, { cause })
    },
  )
  await sleep(2_000)
  expect(await world.empty()).toBe(true)
  const { effects, extraExecutions, lost, unexpected } = await judge(database, name, ledger)
  expect({ lost, unexpected }).toEqual({ lost: [], unexpected: [] })
  return { acked: ledger.acked.size, effects, lost: 0, unexpected: 0, duplicateEffects: 0, extraExecutions }
}

/** Ends in order: exit 0, everything settled, no error that nobody caught. */
export const drained = async (controller: DrivenProcess): Promise<void> => {
  controller.signal('SIGTERM')
  expect(await controller.exit, controller.output().slice(-5_000)).toEqual({ code: 0, signal: null })
  expect(controller.log().at(-1)).toMatchObject({ msg: 'drained', clean: true, unsettled: [] })
  expect(controller.output()).not.toMatch(/uncaught|unhandled/i)
}

export const parkedOf = async (world: World): Promise<readonly ParkedSummary[]> =>
  (await world.admin<{ events: ParkedSummary[] }>('/events?limit=1000')).events

/** Waits until this many events are parked. */
export const parkedAre = (world: World, count: number, ms?: number): Promise<readonly ParkedSummary[]> =>
  until(async () => {
    const parked = await parkedOf(world)
    return parked.length >= count ? parked : undefined
  }, ms)

/** Drops what is parked, so that what comes next begins with nothing. */
export const forgetParked = async (world: World): Promise<void> => {
  await until(async () => {
    await world.admin('/control', { name: 'drop', confirm: 'drop', filter: {} })
    return (await parkedOf(world)).length === 0
  })
}
