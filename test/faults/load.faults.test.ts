import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, inject } from 'vitest'
import type { Status } from '../../src/status.ts'
import { createWorld, type World } from '../e2e/lifecycle.harness.ts'
import { collected } from '../support/collected.ts'
import { freePort } from '../support/freePort.ts'
import { residentMb } from '../support/memory.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { until } from '../support/until.ts'
import { quantile, row } from './record.ts'
import { drained, effectsOf, parkedOf, settled } from './verdict.ts'

/** More than there is time or memory for. Node takes as much memory as it is let: here as in a small container. */
let world: World
let controller: DrivenProcess

beforeAll(async () => {
  world = await createWorld()
  controller = await world.start({ NODE_OPTIONS: '--max-old-space-size=128 --max-semi-space-size=8' })
  await world.ready()
})

afterAll(async () => {
  try {
    await drained(controller)
  } finally {
    await world[Symbol.asyncDispose]()
  }
})

const statusOf = () => world.admin<Status>('/status')

/** Numbers of one scrape, by their names; what is measured between two scrapes begins anew with each. */
const metrics = async (...names: readonly string[]): Promise<readonly number[]> => {
  const text = await (await fetch(`http://127.0.0.1:${world.adminPort}/metrics`)).text()
  return names.map((name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]))
}

const filesOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

const enqueueMany = (from: number, to: number, type: string) =>
  world.database.query(
    `select count(${world.name}_journal.enqueue($1, $2, json_build_object('id', 'm-' || n), 'm-' || n))
     from generate_series($3::int, $4::int) n`,
    [world.name, type, from, to],
  )

row(
  29,
  'many events, as fast as they come',
  {
    expected:
      'back-pressure: in flight ≤ Σ credits, RSS ≤ 256 MB (heap limited to 128 MB), event-loop delay p99 ≤ 50 ms, probes ≤ 100 ms (p90)',
    P: { events: 10_000 },
    N: { events: 100_000 },
    minutes: { N: 10 },
  },
  async ({ events }, { bound, measured }) => {
    const inRabbit = events / 5
    const before = Object.values((await statusOf()).sources).reduce((sum, source) => sum + source.settled, 0)
    const sum = async (): Promise<number> =>
      Object.values((await statusOf()).sources).reduce((all, source) => all + source.settled, 0) - before
    let over = false
    const publishing = (async () => {
      for (let n = 0; n < inRabbit; n += 200) {
        await Promise.all(
          Array.from({ length: 200 }, (_, more) => world.send('rabbit', `light-${n + more}`, { type: 'light' })),
        )
      }
      await enqueueMany(1, events - inRabbit, 'light')
    })()
    let mostInFlight = 0
    let credits = 0
    const idleMb = residentMb(controller)
    let peakMb = 0
    let peakHeapMb = 0
    const probesMs: number[] = []
    const delaysMs: number[] = []
    const watching = (async () => {
      while (!over) {
        const began = performance.now()
        expect(await world.probe('/livez')).toBe(200)
        probesMs.push(performance.now() - began)
        const sources = Object.values((await statusOf()).sources)
        credits = sources.reduce((all, { credit }) => all + credit, 0)
        mostInFlight = Math.max(
          mostInFlight,
          sources.reduce((all, { inFlight }) => all + inFlight, 0),
        )
        peakMb = Math.max(peakMb, residentMb(controller))
        const [heap = 0, delay = 0] = await metrics('nodejs_heap_size_used_bytes', 'nodejs_eventloop_lag_p99_seconds')
        peakHeapMb = Math.max(peakHeapMb, heap / 2 ** 20)
        delaysMs.push(delay * 1_000)
        await sleep(100)
      }
    })()
    const startedAt = performance.now()
    await publishing
    await until(async () => (await sum()) >= events, 300_000)
    const tookMs = performance.now() - startedAt
    over = true
    await watching
    const figures = {
      events,
      perSecond: Math.round(events / (tookMs / 1_000)),
      mostInFlight,
      credits,
      idleRssMb: Math.round(idleMb),
      peakHeapUsedMb: Math.round(peakHeapMb),
      peakRssMb: Math.round(peakMb),
      eventLoopDelayP99Ms: Math.round(quantile(delaysMs, 0.5)),
      probeP90Ms: Math.round(quantile(probesMs, 0.9)),
      probeP99Ms: Math.round(quantile(probesMs, 0.99)),
    }
    measured(figures)
    await until(() => world.empty())
    expect(mostInFlight).toBeLessThanOrEqual(credits)
    expect(figures.peakRssMb).toBeLessThanOrEqual(256)
    expect(figures.eventLoopDelayP99Ms).toBeLessThanOrEqual(bound(50))
    expect(figures.probeP90Ms).toBeLessThanOrEqual(bound(100))
  },
)

row(
  6,
  'the process is stopped for 20 s and goes on',
  { expected: 'late acks and commits have no effect; lost 0; consuming ≤ 5 s', N: { stoppedMs: 20_000 } },
  async ({ stoppedMs }, { measured }) => {
    const load = world.load()
    await sleep(2_000)
    controller.signal('SIGSTOP')
    await load.stop()
    await sleep(stoppedMs)
    const effects = await effectsOf(world)
    controller.signal('SIGCONT')
    const continuedAt = performance.now()
    await until(async () => (await effectsOf(world)) > effects)
    const consumingMs = Math.round(performance.now() - continuedAt)
    const verdict = await settled(world, 60_000)
    measured({ stoppedMs, consumingMs, ...verdict })
    expect(consumingMs).toBeLessThanOrEqual(5_000)
  },
)

row(
  30,
  'a handler blocks the event loop for 5 s, and for 30 s',
  {
    expected: 'survives, or what it held is delivered again: lost 0; the delay is in the metrics',
    N: { blocks: [5_000, 30_000] },
    minutes: { N: 5 },
  },
  async ({ blocks }, { measured }) => {
    const load = world.load()
    let longestSeenMs = 0
    for (const [n, ms] of blocks.entries()) {
      const id = `blocking-${n}`
      await world.ledger.send(id, () => world.send('table', id, { type: 'blocking', data: { ms } }))
      await sleep(ms + 2_000)
      const [delay = 0] = await metrics('nodejs_eventloop_lag_max_seconds')
      longestSeenMs = Math.max(longestSeenMs, delay * 1_000)
    }
    await load.stop()
    const verdict = await settled(world, 120_000)
    measured({ longestBlockMs: Math.max(...blocks), longestSeenMs: Math.round(longestSeenMs), ...verdict })
    expect(longestSeenMs).toBeGreaterThan(4_500)
  },
)

row(
  31,
  'a soak in 192 MB of heap: each minute a cut broker connection and killed Postgres sessions',
  {
    expected: 'flat: RSS after a collection grows ≤ 1 MB / 10 min, open files ± 5; lost 0',
    N: { minutes: 20 },
    minutes: { N: 30 },
  },
  async ({ minutes }, { measured, progress }) => {
    await drained(controller)
    const amqp = new URL(inject('amqpUrl'))
    const proxy = await tcpProxy({ port: Number(amqp.port) })
    amqp.port = String(proxy.port)
    const inspected = await freePort()
    const options = `--max-old-space-size=192 --inspect=127.0.0.1:${inspected}`
    controller = await world.start({ NODE_OPTIONS: options, AMQP_URL: amqp.href })
    await world.ready()
    const load = world.load()
    const samples: { minute: number; rssMb: number; heapMb: number; files: number }[] = []
    let peakMb = 0
    for (let minute = 1; minute <= minutes; minute++) {
      proxy.reset()
      await world.database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'koksmat%:' || $1`,
        [String(controller.pid)],
      )
      for (let n = 0; n < 12; n++) {
        await sleep(5_000)
        peakMb = Math.max(peakMb, residentMb(controller))
      }
      samples.push({ minute, ...(await collected(inspected)), files: filesOf(controller.pid) })
      progress(`minute ${minute} of ${minutes}: ${JSON.stringify(samples.at(-1))}`)
    }
    await load.stop()
    const verdict = await settled(world, 120_000)
    const calm = samples.slice(Math.floor(minutes / 4))
    const files = calm.map((sample) => sample.files)
    const per10Minutes = (of: 'rssMb' | 'heapMb'): number =>
      Math.round(slopeOf(calm.map((sample) => [sample.minute, sample[of]])) * 100) / 10
    const [rssMbPer10Minutes, heapMbPer10Minutes] = [per10Minutes('rssMb'), per10Minutes('heapMb')]
    const lastMb = Math.round(samples.at(-1)?.rssMb ?? 0)
    measured({ minutes, rssMbPer10Minutes, heapMbPer10Minutes, lastMb, peakMb: Math.round(peakMb), ...verdict })
    measured({ fewestFiles: Math.min(...files), mostFiles: Math.max(...files), parked: (await parkedOf(world)).length })
    await drained(controller)
    controller = await world.start()
    await proxy.close()
    expect(rssMbPer10Minutes).toBeLessThanOrEqual(1)
    expect(peakMb).toBeLessThanOrEqual(320)
    expect(Math.max(...files) - Math.min(...files)).toBeLessThanOrEqual(10)
  },
)

/** Least squares. */
const slopeOf = (points: readonly (readonly [number, number])[]): number => {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x, y] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))]
  const above = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0)
  return above / points.reduce((sum, [at]) => sum + (at - x) ** 2, 0)
}
