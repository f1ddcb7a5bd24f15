import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { ParkedEvent, ParkedSummary } from '../../machines/journal.ts'
import { judge } from '../support/oracle.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'
import { createWorld, type World } from './lifecycle.harness.ts'

/** A fault comes at a moment that nobody chose. */
const randomMoment = () => sleep(150 + Math.random() * 1_200)

const creditOfAllSources = 5 * 32

const effectsOf = async ({ database, name }: World): Promise<number> =>
  (await database.query<{ n: number }>(`select count(*)::int as n from ${name}.effects`)).rows[0]?.n ?? 0

/** Everything that was confirmed has its effect, and all is empty, twice, two seconds apart. */
const settled = async (world: World): Promise<void> => {
  await until(async () => {
    const { lost } = await judge(world.database, world.name, world.ledger)
    return lost.length === 0 && (await world.empty())
  }, 40_000).catch(async (cause) => {
    const { lost } = await judge(world.database, world.name, world.ledger)
    const [status, parked] = [await world.admin('/status'), await world.admin('/events')]
    const found = JSON.stringify({ lost: lost.slice(0, 20), parked, status })
    throw new Error(`${lost.length} of ${world.ledger.acked.size} lost: ${found}`, { cause })
  })
  await sleep(2_000)
  expect(await world.empty()).toBe(true)
}

const drained = async (controller: DrivenProcess): Promise<void> => {
  controller.signal('SIGTERM')
  expect(await controller.exit, controller.output()).toEqual({ code: 0, signal: null })
  expect(controller.log().at(-1)).toMatchObject({ msg: 'drained', clean: true, reason: 'SIGTERM', unsettled: [] })
}

const bySource = ({ ledger }: World) => Object.groupBy(ledger.acked, (id) => id.slice(0, id.indexOf('-')))

it('SIGTERM at random moments under load: exit 0, nothing lost, nothing unexpected, effects exactly once', async () => {
  await using world = await createWorld()
  let controller = await world.start()
  await world.ready()
  const load = world.load()
  for (let round = 1; round <= 5; round++) {
    const before = await effectsOf(world)
    await until(async () => (await effectsOf(world)) > before, 20_000)
    await randomMoment()
    await drained(controller)
    expect(controller.output()).not.toContain('uncaught')
    controller = await world.start()
    await world.ready()
  }
  await load.stop()
  await settled(world)
  expect(await world.admin('/events')).toMatchObject({ events: [] })
  await drained(controller)

  const { effects, ...verdict } = await judge(world.database, world.name, world.ledger)
  expect(verdict).toEqual({ lost: [], unexpected: [], extraExecutions: 0 })
  expect(effects).toBeGreaterThanOrEqual(world.ledger.acked.size)
  expect(Object.keys(bySource(world)).toSorted()).toEqual(['hook', 'rabbit', 'record', 'row', 'table'])
  expect(await world.inRabbit()).toBe(0)
})

it('SIGKILL at random moments under load: nothing lost, nothing parked, effects exactly once', async () => {
  await using world = await createWorld()
  let controller = await world.start()
  await world.ready()
  const load = world.load()
  const kills = 5
  for (let kill = 1; kill <= kills; kill++) {
    const before = await effectsOf(world)
    await until(async () => (await effectsOf(world)) > before, 20_000)
    await randomMoment()
    controller.signal('SIGKILL')
    expect(await controller.exit).toEqual({ code: null, signal: 'SIGKILL' })
    controller = await world.start()
  }
  await load.stop()
  await settled(world)
  expect(await world.admin('/events')).toMatchObject({ events: [] })
  await drained(controller)

  const { lost, unexpected, effects, extraExecutions } = await judge(world.database, world.name, world.ledger)
  expect({ lost, unexpected }).toEqual({ lost: [], unexpected: [] })
  expect(effects).toBeGreaterThanOrEqual(world.ledger.acked.size)
  expect(extraExecutions).toBeLessThanOrEqual(kills * creditOfAllSources)
  expect(await world.inRabbit()).toBe(0)
})

it('a handler that throws is tried again and then parked with its history; redrive makes it succeed', async () => {
  await using world = await createWorld()
  const controller = await world.start()
  await world.enqueue('broken-1', 'broken')
  const event = await until(async () => (await world.admin<{ events: ParkedSummary[] }>('/events')).events[0])
  expect(event).toMatchObject({ id: 'broken-1', via: 'table', attempts: 3, error: { code: 'HANDLER_FAILED' } })
  const { history } = await world.admin<ParkedEvent>(`/events/${event.seq}`)
  expect(history.map(({ attempt, error }) => [attempt, error.message])).toEqual([
    [1, expect.stringContaining('still broken')],
    [2, expect.stringContaining('still broken')],
    [3, expect.stringContaining('still broken')],
  ])
  const { rows } = await world.database.query(`select attempt from ${world.name}.executions order by at`)
  expect(rows).toEqual([{ attempt: 1 }, { attempt: 2 }, { attempt: 3 }])
  expect(await effectsOf(world)).toBe(0)

  await world.database.query(`insert into ${world.name}.mended values (now())`)
  expect(await world.admin('/control', { name: 'redrive', filter: { seqs: [event.seq] } })).toEqual({ count: 1 })
  await until(async () => (await effectsOf(world)) === 1)
  await until(() => world.empty())
  expect(await world.admin('/events')).toMatchObject({ events: [] })
  await drained(controller)
})

it('a second signal within 5 s is ignored; a hanging handler is aborted at the deadline and the process exits with 3 and counts it as released', async () => {
  await using world = await createWorld()
  const controller = await world.start({ KOKSMAT_SHUTDOWN_TIMEOUT: '3s', LIFECYCLE_HANG: 'yes' })
  await world.enqueue('hanging-1', 'hanging')
  await until(async () => (await world.database.query(`select from ${world.name}.executions`)).rows.length === 1)
  const begin = performance.now()
  controller.signal('SIGTERM')
  await controller.says(/drain began/)
  controller.signal('SIGTERM')
  controller.signal('SIGINT')
  expect(await controller.exit, controller.output()).toEqual({ code: 3, signal: null })
  const took = performance.now() - begin
  expect(took).toBeGreaterThan(2_000)
  expect(took).toBeLessThan(4_000)
  expect(controller.log().at(-1)).toMatchObject({
    msg: 'aborted',
    clean: false,
    reason: 'SIGTERM',
    sources: { table: { released: 1 } },
  })
  expect(await effectsOf(world)).toBe(0)

  const next = await world.start()
  await until(async () => (await effectsOf(world)) === 1, 20_000)
  await until(() => world.empty())
  await drained(next)
})

it('SIGTERM while idle exits 0 within 2 s', async () => {
  await using world = await createWorld()
  const controller = await world.start()
  await world.ready()
  const begin = performance.now()
  await drained(controller)
  expect(performance.now() - begin).toBeLessThan(2_000)
})
