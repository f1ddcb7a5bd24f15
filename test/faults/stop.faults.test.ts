import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { createWorld, type World } from '../e2e/lifecycle.harness.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'
import { backlog } from './backlog.ts'
import { quantile, row } from './record.ts'
import { drained, effectsOf, settled } from './verdict.ts'

/** A controller that is told to stop. */
const tookMs = async (what: Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await what
  return performance.now() - began
}

row(
  1,
  'SIGTERM, idle',
  {
    expected: 'clean stop, exit 0 ≤ 500 ms (median)',
    P: { rounds: 3, withinMs: 1_500 },
    N: { rounds: 20, withinMs: 500 },
  },
  async ({ rounds, withinMs }, { measured }) => {
    await using world = await createWorld()
    const stops: number[] = []
    for (let round = 1; round <= rounds; round++) {
      const controller = await world.start()
      await world.ready()
      stops.push(await tookMs(drained(controller)))
    }
    const medianMs = Math.round(quantile(stops, 0.5))
    measured({ rounds, medianMs, slowestMs: Math.round(Math.max(...stops)) })
    expect(medianMs).toBeLessThanOrEqual(withinMs)
  },
)

/** How the webhooks that were not taken ended, by what their sender met: a status, or an error of its socket. */
const refusals = ({ ledger }: World): Readonly<Record<string, number>> => {
  const met = [...ledger.refused]
    .filter(([id]) => id.startsWith('hook-'))
    .map(([, { message, cause }]) => {
      const why = cause instanceof Error ? `${message}: ${cause.message}` : message
      return /\b\d{3}$|\bE[A-Z]{5,}/.exec(why)?.[0] ?? why
    })
  return Object.fromEntries(
    Object.entries(Object.groupBy(met, (why) => why)).map(([why, all]) => [why, all?.length ?? 0]),
  )
}

/** Where nobody listens, or does not any more: a connection that was never accepted ends with a reset. */
const unanswered = ['ECONNREFUSED', 'ECONNRESET']

/**
 * Events whose effect came after one that was sent later with the same key. Order by key is that of arrival, and what a
 * stop gives back arrives again: in its place from Kafka and the table queue, not so from a quorum queue, nor what comes
 * again through the journal's own queue, as rows and webhooks do.
 */
const overtaken = async ({ database, name }: World): Promise<readonly string[]> => {
  const { rows } = await database.query<{ id: string }>(
    `select id from (
       select id, seq, n, max(n) over (partition by source, key order by seq rows unbounded preceding) as highest
       from (select *, split_part(id, '-', 1) as source from ${name}.effects where key is not null) as keyed
     ) as ordered where n < highest and id ~ '^(table|record)-' order by seq`,
  )
  return rows.map(({ id }) => id)
}

/** On all sources at once, and with a backlog. */
row(
  2,
  'SIGTERM at random moments under load: exit 0, nothing lost, nothing unexpected, effects exactly once',
  {
    expected:
      'exit 0; p95 ≤ longest handler + 1 s; lost 0; duplicate executions 0; in order by key (table queue, Kafka); webhooks answered 2xx or 503',
    P: { rounds: 3, atOnce: 1_000, withinMs: 10_000 },
    N: { rounds: 50, atOnce: 20_000, withinMs: 1_010 },
    minutes: { P: 8, N: 30 },
  },
  async ({ rounds, atOnce, withinMs }, { measured, progress }) => {
    await using world = await createWorld()
    let controller = await world.start()
    await world.ready()
    const load = world.load()
    await backlog(world, 'first', atOnce)
    const drains: number[] = []
    for (let round = 1; round <= rounds; round++) {
      const before = await effectsOf(world)
      await until(async () => (await effectsOf(world)) > before, 20_000)
      await sleep(150 + Math.random() * 1_200)
      drains.push(await tookMs(drained(controller)))
      controller = await world.start()
      await world.ready()
      if (round % 5 === 0) progress(`row 2: ${round} of ${rounds} stops`)
    }
    await load.stop()
    const figures = await settled(world, 180_000 + atOnce * 5)
    const drainP95Ms = Math.round(quantile(drains, 0.95))
    const [hooks, late] = [refusals(world), await overtaken(world)]
    measured({ rounds, ...figures, drainP95Ms, overtaken: late.length })
    for (const [why, count] of Object.entries(hooks)) measured({ [`webhooks_${why}`]: count })
    await drained(controller)
    const sources = new Set([...world.ledger.acked].map((id) => id.slice(0, id.indexOf('-'))))
    expect([...sources].toSorted()).toEqual(['hook', 'rabbit', 'record', 'row', 'table'])
    expect(Object.keys(hooks).filter((why) => why !== '503' && !unanswered.includes(why))).toEqual([])
    expect({ extraExecutions: figures['extraExecutions'], late }).toEqual({ extraExecutions: 0, late: [] })
    expect(await world.inRabbit()).toBe(0)
    expect(drainP95Ms).toBeLessThanOrEqual(withinMs)
  },
)

/** A controller with a handler that hears nothing, and runs. */
const hanging = async (world: World, timeout: string): Promise<DrivenProcess> => {
  const controller = await world.start({ KOKSMAT_SHUTDOWN_TIMEOUT: timeout, LIFECYCLE_HANG: 'yes' })
  await world.ledger.send('hanging-1', (id) => world.enqueue(id, 'hanging'))
  await until(async () => (await world.database.query(`select from ${world.name}.executions`)).rows.length > 0)
  return controller
}

/** Exit 3, with the hanging event in the report; the next process, where nothing hangs, handles it. */
const abortedAndAgain = async (world: World, controller: DrivenProcess): Promise<void> => {
  expect(await controller.exit, controller.output()).toEqual({ code: 3, signal: null })
  expect(controller.log().at(-1)).toMatchObject({
    msg: 'aborted',
    clean: false,
    reason: 'SIGTERM',
    sources: { table: { released: 1 } },
    unsettled: [{ source: 'table', id: 'hanging-1', type: 'hanging', state: 'running' }],
  })
  expect(await effectsOf(world)).toBe(0)
  const next = await world.start()
  await settled(world)
  await drained(next)
}

row(
  3,
  'a handler that hangs at the deadline; second signals within 5 s',
  { expected: 'signals ignored; exit 3 at the deadline ± 0.5 s, the report lists it; lost 0', P: { timeoutMs: 4_000 } },
  async ({ timeoutMs }, { bound, measured }) => {
    await using world = await createWorld()
    const controller = await hanging(world, `${timeoutMs}ms`)
    const began = performance.now()
    controller.signal('SIGTERM')
    await controller.says(/drain began/)
    controller.signal('SIGTERM')
    controller.signal('SIGINT')
    await controller.exit
    const deadlineMs = timeoutMs * 0.75
    const exitAfterMs = Math.round(performance.now() - began)
    measured({ deadlineMs, exitAfterMs })
    await abortedAndAgain(world, controller)
    expect(exitAfterMs).toBeGreaterThanOrEqual(deadlineMs - 500)
    expect(exitAfterMs).toBeLessThanOrEqual(timeoutMs + bound(500))
  },
)

row(
  3,
  'a handler that hangs; a second signal after 5 s',
  { expected: 'abort: exit 3 within 1.5 s, the report lists it; lost 0', P: { timeoutMs: 60_000 } },
  async ({ timeoutMs }, { bound, measured }) => {
    await using world = await createWorld()
    const controller = await hanging(world, `${timeoutMs}ms`)
    controller.signal('SIGTERM')
    await sleep(5_200)
    const exitAfterMs = Math.round(
      await tookMs(Promise.all([Promise.resolve(controller.signal('SIGTERM')), controller.exit])),
    )
    measured({ exitAfterMs })
    await abortedAndAgain(world, controller)
    expect(exitAfterMs).toBeLessThanOrEqual(bound(1_500))
  },
)
