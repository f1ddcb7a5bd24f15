import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'amqplib'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import type { Status } from '../../src/status.ts'
import { createWorld, type World } from '../e2e/lifecycle.harness.ts'
import { listens } from '../support/listens.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import type { RabbitServer } from '../support/rabbitServer.ts'
import { type TcpProxy, tcpProxy } from '../support/tcpProxy.ts'
import { until } from '../support/until.ts'
import { row } from './record.ts'
import { drained, effectsOf, settled } from './verdict.ts'

/** A quorum queue whose node ends within a second of its declaration loses what it has confirmed. */
const quorumSettlesMs = 5_000

interface BrokerOptions {
  readonly startMs?: number
  /** How `rabbitmqctl` raises the memory alarm (default: by the watermark), and clears it. */
  readonly alarm?: Alarm
}

interface Alarm {
  readonly raise: readonly string[]
  readonly clear: readonly string[]
}

const byWatermark: Alarm = {
  raise: ['set_vm_memory_high_watermark', '0.00001'],
  clear: ['set_vm_memory_high_watermark', '0.6'],
}

/** Where the broker cannot find out how much memory there is, because its folder has no /proc. */
export const byHand: Alarm = {
  raise: ['eval', 'rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).'],
  clear: ['eval', 'rabbit_alarm:clear_alarm({resource_limit, memory, node()}).'],
}

/**
 * What a RabbitMQ does to a controller: rows 12 to 16, and 42 for the broker. One controller lives through most of it. The
 * times of tier P are for a machine that is busy with other tests.
 */
export const brokerRows = (version: string, start: () => Promise<RabbitServer>, options: BrokerOptions = {}): void => {
  const { startMs = 180_000, alarm = byWatermark } = options
  describe(`RabbitMQ ${version}`, () => {
    let server: RabbitServer
    let proxy: TcpProxy
    let world: World
    let controller: DrivenProcess
    let startedAt: number
    const named = (fault: string): string => `${fault} (RabbitMQ ${version})`

    const port = (): number => Number(new URL(server.url).port)
    const proxied = (): Readonly<Record<string, string>> => ({
      AMQP_URL: `amqp://guest:guest@127.0.0.1:${proxy.port}/?heartbeat=1`,
    })
    const rabbit = async () => {
      const { rabbit: facts } = (await world.admin<Status>('/status')).sources
      if (facts === undefined) throw new Error('no source rabbit')
      return facts
    }
    /** The effect of an event that is sent now is there. */
    const consuming = async (id: string): Promise<void> => {
      const effect = `rabbit-${id}`
      await until(() => world.ledger.send(effect, () => world.send('rabbit', effect)))
      await until(async () => (await effectsOf(world, effect)) === 1)
    }

    const backlog = async (name: string, events: number): Promise<void> => {
      for (let n = 0; n < events; n += 50) {
        const ids = Array.from({ length: 50 }, (_, more) => `rabbit-${name}-${n + more}`)
        await Promise.all(ids.map((id) => world.ledger.send(id, () => world.send('rabbit', id))))
      }
    }

    beforeAll(async () => {
      server = await start()
      proxy = await tcpProxy({ port: port() })
      world = await createWorld({ amqpUrl: server.url })
      controller = await world.start(proxied())
      await world.ready()
      startedAt = performance.now()
      await consuming('first')
    }, startMs)

    afterAll(async () => {
      try {
        await drained(controller)
      } finally {
        await world[Symbol.asyncDispose]()
        await proxy.close()
        await server.stop()
      }
    })

    row(
      13,
      named('the broker connection is cut: closed only, and with an error'),
      {
        expected: 'resumed ≤ 2 s; exactly one connection afterwards; lost 0',
        P: { rounds: 3, withinMs: 15_000 },
        N: { rounds: 30, withinMs: 2_000 },
        minutes: { N: 8 },
      },
      async ({ rounds, withinMs }, { measured }) => {
        const load = world.load(['rabbit'])
        const slowest = { closedMs: 0, resetMs: 0 }
        const cuts = {
          closedMs: () => server.rabbitmqctl('close_all_connections', 'cut by a test'),
          resetMs: async () => proxy.reset(),
        }
        for (let round = 1; round <= rounds; round++) {
          for (const [kind, cut] of Object.entries(cuts)) {
            await backlog(`cut-${kind}-${round}`, 50)
            const { reconnects } = await rabbit()
            await cut()
            const cutAt = performance.now()
            await until(async () => {
              const facts = await rabbit()
              return facts.reconnects > reconnects && facts.state === 'listening' && proxy.connections() === 1
            })
            const key = kind as keyof typeof slowest
            slowest[key] = Math.round(Math.max(slowest[key], performance.now() - cutAt))
          }
        }
        await load.stop()
        const verdict = await settled(world)
        const connections = proxy.connections()
        measured({ cuts: 2 * rounds, slowestClosedMs: slowest.closedMs, slowestResetMs: slowest.resetMs, connections })
        measured(verdict)
        expect(connections).toBe(1)
        expect(slowest.closedMs).toBeLessThanOrEqual(withinMs)
        expect(slowest.resetMs).toBeLessThanOrEqual(withinMs)
      },
    )

    row(
      12,
      named('the broker is restarted in the middle of a batch'),
      {
        expected: 'reconnects, declares again, consumes ≤ 5 s after the port opens; lost 0',
        P: { restarts: 1, withinMs: 15_000 },
        N: { restarts: 10, withinMs: 5_000 },
        minutes: { N: 8 },
      },
      async ({ restarts, withinMs }, { measured, progress }) => {
        await sleep(Math.max(0, quorumSettlesMs - (performance.now() - startedAt)))
        const load = world.load(['rabbit'])
        let slowestMs = 0
        let inHand = 0
        for (let restart = 1; restart <= restarts; restart++) {
          const { settled: before, reconnects } = await rabbit()
          await backlog(`restart-${restart}`, 300)
          inHand += await until(async () => {
            const facts = await rabbit()
            return facts.settled > before + 20 ? facts.inFlight : undefined
          })
          const opens = opening(port())
          await server.restart()
          const openedAt = await opens
          const effects = await effectsOf(world)
          await until(async () => (await effectsOf(world)) > effects && (await rabbit()).state === 'listening', 30_000)
          slowestMs = Math.round(Math.max(slowestMs, performance.now() - openedAt))
          expect((await rabbit()).reconnects).toBeGreaterThan(reconnects)
          progress(`restart ${restart} of ${restarts}: slowest ${slowestMs} ms`)
        }
        await load.stop()
        const verdict = await settled(world)
        measured({ restarts, inHandAtRestarts: inHand, slowestMs, ...verdict })
        expect(slowestMs).toBeLessThanOrEqual(withinMs)
      },
    )

    row(
      14,
      named('the broker connection is half-open: nothing arrives, nobody is told'),
      {
        expected: 'found within 3 heartbeats',
        P: { rounds: 1, withinMs: 15_000 },
        N: { rounds: 10, withinMs: 3_000 },
      },
      async ({ rounds, withinMs }, { measured }) => {
        let slowestMs = 0
        for (let round = 1; round <= rounds; round++) {
          const { reconnects } = await rabbit()
          proxy.blackHole()
          const silentAt = performance.now()
          await until(async () => (await rabbit()).reconnects > reconnects)
          slowestMs = Math.round(Math.max(slowestMs, performance.now() - silentAt))
          expect(await world.probe('/readyz')).toBe(503)
          proxy.heal()
          await world.ready()
          await consuming(`half-open-${round}`)
        }
        measured({ rounds, heartbeatMs: 1_000, slowestMs })
        expect(slowestMs).toBeLessThanOrEqual(withinMs)
      },
    )

    row(
      16,
      named('the queue is deleted and its consumer cancelled'),
      { expected: 'noticed, declared again; no crash; ready again when it is back', P: { rounds: 2 } },
      async ({ rounds }, { measured }) => {
        let slowestMs = 0
        for (let round = 1; round <= rounds; round++) {
          const { reconnects } = await rabbit()
          const deletedAt = performance.now()
          await withChannel(server.url, (channel) => channel.deleteQueue(world.name))
          await until(async () => (await rabbit()).reconnects > reconnects)
          await world.ready()
          slowestMs = Math.round(Math.max(slowestMs, performance.now() - deletedAt))
          await consuming(`redeclared-${round}`)
        }
        const codes = controller.log().flatMap(({ msg, code }) => (msg === 'source backs off' ? [code] : []))
        measured({ rounds, readyAgainMs: slowestMs })
        expect(codes.filter((code) => code === 'SOURCE_NOT_FOUND')).toHaveLength(rounds)
        startedAt = performance.now()
      },
    )

    row(
      15,
      named('the broker raises its memory alarm'),
      {
        expected: 'consuming and acks go on; SIGTERM during it exits in time',
        P: { events: 500, withinMs: 15_000 },
        N: { events: 5_000, withinMs: 5_000 },
      },
      async ({ events, withinMs }, { measured }) => {
        await drained(controller)
        await backlog('alarm', events)
        await server.rabbitmqctl(...alarm.raise)
        const blocked = world.ledger.send('rabbit-blocked', () => world.send('rabbit', 'rabbit-blocked'))
        controller = await world.start(proxied())
        await until(async () => (await effectsOf(world, 'rabbit-alarm-%')) >= events / 2, 60_000)
        const signalledAt = performance.now()
        await drained(controller)
        const drainMs = Math.round(performance.now() - signalledAt)
        const stillBlocked = await Promise.race([blocked, sleep(100, 'blocked')])
        const left = (await effectsOf(world, 'rabbit-alarm-%')) < events
        await server.rabbitmqctl(...alarm.clear)
        await blocked
        controller = await world.start(proxied())
        await world.ready()
        const verdict = await settled(world, 60_000)
        measured({ events, drainMs, backlogLeftAtSignal: left ? 'yes' : 'no', ...verdict })
        expect(stillBlocked).toBe('blocked')
        expect(drainMs).toBeLessThanOrEqual(withinMs)
      },
    )

    row(
      42,
      named('the broker is down at boot'),
      {
        expected: 'live, not ready, tries again; ready ≤ 3 s after it comes',
        P: { downMs: 3_000, withinMs: 15_000 },
        N: { downMs: 30_000, withinMs: 3_000 },
      },
      async ({ downMs, withinMs }, { measured }) => {
        await sleep(Math.max(0, quorumSettlesMs - (performance.now() - startedAt)))
        await drained(controller)
        await server.kill()
        controller = await world.start()
        expect([await world.probe('/livez'), await world.probe('/readyz')]).toEqual([200, 503])
        expect((await rabbit()).lastError?.code).toBe('SOURCE_CONNECT_FAILED')
        await sleep(downMs)
        const opens = opening(port())
        await server.restart()
        const openedAt = await opens
        await world.ready()
        const readyMs = Math.round(performance.now() - openedAt)
        measured({ downMs, readyMs })
        await consuming('after-boot')
        expect(readyMs).toBeLessThanOrEqual(withinMs)
      },
    )
  })
}

/** When somebody listens on the port again after nobody did. */
const opening = async (port: number): Promise<number> => {
  await until(async () => !(await listens(port)), 30_000)
  await until(() => listens(port), 60_000)
  return performance.now()
}

type AmqpChannel = Awaited<ReturnType<Awaited<ReturnType<typeof connect>>['createChannel']>>

const withChannel = async (url: string, use: (channel: AmqpChannel) => Promise<unknown>): Promise<void> => {
  const connection = await connect(url)
  try {
    await use(await connection.createChannel())
  } finally {
    await connection.close()
  }
}
