import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Status } from '../../src/status.ts'
import { createWorld, type Entrance, type Servers, type World } from '../e2e/lifecycle.harness.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import { startRabbit4Server } from '../support/rabbit4Server.ts'
import { until } from '../support/until.ts'
import { backlog } from './backlog.ts'
import { quantile, type RowRun, row } from './record.ts'
import { drained, effectsOf, parkedOf, settled } from './verdict.ts'

/** A controller that is killed, again and again: from outside, and by an event. */
const creditOfAllSources = 5 * 32 + 200

const kill = async (controller: DrivenProcess): Promise<void> => {
  controller.signal('SIGKILL')
  expect(await controller.exit, controller.output().slice(-5_000)).toEqual({ code: null, signal: 'SIGKILL' })
}

/** All sources are up; not counted is Kafka, whose group waits for the session of the killed member to end. */
const isReady = async (world: World): Promise<boolean> => {
  const { sources } = await world.admin<Status>('/status')
  return Object.entries(sources).every(([name, { state }]) => name === 'log' || /^(listening|throttled)$/.test(state))
}

/** How long it took from its start until it was ready; undefined when it ended before. */
const readyAfterMs = async (world: World, controller: DrivenProcess): Promise<number | undefined> => {
  const startedAt = performance.now()
  let ended = false
  void controller.exit.then(() => {
    ended = true
  })
  while (!ended) {
    if (await isReady(world).catch(() => false)) return performance.now() - startedAt
    await sleep(20)
  }
  return undefined
}

row(
  4,
  'SIGKILL loop under a backlog, every 0.2 to 2 s',
  {
    expected: 'lost 0, unexpected 0, duplicate effects 0, parked 0; ready (but for Kafka) ≤ 1.5 s after a start (p95)',
    // In `npm test` other tests run beside it: there it is only bounded.
    P: { kills: 30, atOnce: 2_000, events: 5_000, readyWithinMs: 15_000 },
    N: { kills: 1_000, atOnce: 20_000, events: 200_000, readyWithinMs: 1_500 },
    minutes: { P: 8, N: 90 },
  },
  async ({ kills, atOnce, events, readyWithinMs }, { measured, progress }) => {
    await using world = await createWorld()
    const first = await world.start()
    await world.ready()
    await backlog(world, 'first', atOnce)
    await kill(first)
    const readyMs: number[] = []
    const more = Math.ceil((events - atOnce) / (kills - 1))
    for (let n = 2; n <= kills; n++) {
      const controller = world.spawn()
      const ready = readyAfterMs(world, controller).then((ms) => ms !== undefined && readyMs.push(ms))
      const moment = 200 + Math.random() * 1_800
      // Every second life ends so long after it began, maybe while it boots; the others after it was ready.
      await Promise.all([backlog(world, String(n), more), n % 2 === 0 ? ready : undefined])
      await sleep(moment)
      await kill(controller)
      await ready
      if (n % 50 === 0) progress(`row 4: ${n} of ${kills} kills, ${await effectsOf(world)} effects`)
    }
    const controller = await world.start()
    const figures = await settled(world, 180_000 + events * 5)
    const parked = (await parkedOf(world)).length
    const readyP95Ms = Math.round(quantile(readyMs, 0.95))
    measured({ kills, ...figures, parked, readyMedianMs: Math.round(quantile(readyMs, 0.5)), readyP95Ms })
    await drained(controller)
    expect(parked).toBe(0)
    expect(figures['extraExecutions']).toBeLessThanOrEqual(kills * creditOfAllSources)
    expect(readyMs.length).toBeGreaterThanOrEqual(kills / 2 - 1)
    expect(readyP95Ms).toBeLessThanOrEqual(readyWithinMs)
  },
)

const killedUnderLoad = async (
  { kills }: { readonly kills: number },
  { measured, progress }: RowRun,
  servers?: Servers,
): Promise<void> => {
  await using world = await createWorld(servers)
  let controller = await world.start()
  await world.ready()
  const load = world.load()
  for (let n = 1; n <= kills; n++) {
    const before = await effectsOf(world)
    await until(async () => (await effectsOf(world)) > before, 20_000)
    await sleep(150 + Math.random() * 1_200)
    await kill(controller)
    controller = await world.start()
    progress(`row 4: ${n} of ${kills} kills under load`)
  }
  await load.stop()
  const figures = await settled(world, 180_000 + world.ledger.acked.size * 20)
  const parked = (await parkedOf(world)).length
  measured({ kills, ...figures, parked })
  await drained(controller)
  expect(parked).toBe(0)
  expect(figures['extraExecutions']).toBeLessThanOrEqual(kills * creditOfAllSources)
  expect(await world.inRabbit()).toBe(0)
}

row(
  4,
  'SIGKILL at random moments under load: nothing lost, nothing parked, effects exactly once',
  {
    expected: 'lost 0, unexpected 0, duplicate effects 0, parked 0; executions ≤ effects + kills × in flight',
    P: { kills: 5 },
    N: { kills: 20 },
    minutes: { P: 8, N: 15 },
  },
  killedUnderLoad,
)

const killedByEvents = async (
  { through }: { readonly through: readonly Entrance[] },
  { measured }: RowRun,
  servers?: Servers,
): Promise<void> => {
  await using world = await createWorld(servers)
  let controller = await world.start()
  await world.ready()
  const load = world.load()
  const deathsBy: Record<string, number> = {}
  for (const entrance of through) {
    const id = `${entrance}-deadly`
    // A webhook that kills before its answer is sent: it is in the journal all the same.
    await world.send(entrance, id, { type: 'deadly' }).catch(() => undefined)
    const deaths = async () =>
      (await world.database.query(`select from ${world.name}.executions where id = $1`, [id])).rowCount ?? 0
    // Not by its id: that of an event of the poller names the row and its version.
    const isParked = async () =>
      (await parkedOf(world)).filter(({ type }) => type === 'deadly').length > Object.keys(deathsBy).length
    for (;;) {
      let death: Awaited<DrivenProcess['exit']> | undefined
      void controller.exit.then((exit) => {
        death = exit
      })
      await until(async () => death !== undefined || (await isParked()), 60_000)
      if (death === undefined) break
      expect(death).toEqual({ code: null, signal: 'SIGKILL' })
      expect(await deaths()).toBeLessThanOrEqual(3)
      controller = await world.start()
    }
    deathsBy[`deathsBy_${entrance}`] = await deaths()
  }
  await load.stop()
  const figures = await settled(world, 180_000)
  const parked = await parkedOf(world)
  measured({ ...deathsBy, parked: parked.length, ...figures })
  await drained(controller)
  expect(parked.map(({ error }) => error.code)).toEqual(through.map(() => 'PROCESS_DIED'))
  expect(Math.min(...Object.values(deathsBy))).toBeGreaterThan(0)
  expect(Math.max(...Object.values(deathsBy))).toBeLessThanOrEqual(3)
}

row(
  9,
  'an event that kills the process',
  {
    expected: 'parked after ≤ 3 deaths, all others done',
    P: { through: ['rabbit'] as const },
    N: { through: ['table', 'row', 'hook', 'rabbit', 'record'] as const },
    minutes: { P: 8, N: 15 },
  },
  killedByEvents,
)

/** On the broker of Debian 13. */
const onRabbit4 =
  <Figures extends object>(body: (figures: Figures, run: RowRun, servers: Servers) => Promise<void>) =>
  async (figures: Figures, run: RowRun): Promise<void> => {
    const server = await startRabbit4Server()
    try {
      await body(figures, run, { amqpUrl: server.url })
    } finally {
      await server.stop()
    }
  }

row(
  4,
  'SIGKILL at random moments under load (RabbitMQ 4.0)',
  {
    expected: 'lost 0, unexpected 0, duplicate effects 0, parked 0; executions ≤ effects + kills × in flight',
    N: { kills: 20 },
    minutes: { N: 15 },
  },
  onRabbit4(killedUnderLoad),
)

row(
  9,
  'an event that kills the process (RabbitMQ 4.0)',
  { expected: 'parked after ≤ 3 deaths, all others done', N: { through: ['rabbit'] as const }, minutes: { N: 8 } },
  onRabbit4(killedByEvents),
)
