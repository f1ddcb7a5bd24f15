import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import { expect } from 'vitest'
import { createKafkaPublisher } from '../../actors/kafka/publisher.ts'
import type { Status } from '../../src/status.ts'
import { createWorld } from '../e2e/lifecycle.harness.ts'
import { startKafkaServer } from '../support/kafkaServer.ts'
import { startPostgresServer } from '../support/postgresServer.ts'
import { startPostgresPair } from '../support/postgresStandby.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { until } from '../support/until.ts'
import { row } from './record.ts'
import { drained, effectsOf, parkedOf, settled } from './verdict.ts'

/** What a machine does to a controller and its servers: clocks that jump, disks that are full, servers that freeze or die. */

row(
  26,
  'the clock of the machine jumps by an hour, forth and back',
  {
    expected: 'delayed events and retries go by the clock of the database: each comes once, and in time',
    P: { events: 30, delaySeconds: 4 },
    N: { events: 1_000, delaySeconds: 30 },
  },
  async ({ events, delaySeconds }, { bound, measured }) => {
    const folder = mkdtempSync(join(tmpdir(), 'koksmat-clock-'))
    const clock = join(folder, 'clock')
    const jump = (hours: number): void => writeFileSync(clock, String(hours * 3_600_000))
    await using world = await createWorld()
    try {
      const controller = await world.start({
        NODE_OPTIONS: `--import ${join(import.meta.dirname, '../support/clock.ts')}`,
        TEST_CLOCK: clock,
      })
      await world.ready()
      const enqueue = (name: string) =>
        world.database.query(
          `select count(${world.name}_journal.enqueue($1, 'plain', json_build_object('id', $2 || n), $2 || n,
             delay => make_interval(secs => $3)))
           from generate_series(1, $4::int) n`,
          [world.name, name, delaySeconds, events],
        )
      const query = 'select extract(epoch from clock_timestamp()) * 1000 as now'
      const databaseNow = async () => Number((await world.database.query<{ now: string }>(query)).rows[0]?.now)
      const dueAt: Record<string, number> = {}
      for (const [name, hours] of [
        ['forth-', 1],
        ['back-', -1],
      ] as const) {
        await enqueue(name)
        dueAt[name] = (await databaseNow()) + delaySeconds * 1_000
        await world.send('table', `moody-${name}`, { type: 'moody', data: { fail: 'once' } })
        jump(hours)
        const { rows } = await until(
          async () => {
            const found = await world.database.query(`select from ${world.name}.effects where id like $1`, [`${name}%`])
            return found.rowCount === events ? found : undefined
          },
          delaySeconds * 1_000 + 20_000,
        )
        expect(rows).toHaveLength(events)
      }
      const runs = await world.database.query<{ id: string; n: number; at: Date }>(
        `select id, count(*)::int as n, min(at) as at from ${world.name}.executions
         where id like 'forth-%' or id like 'back-%' group by id`,
      )
      await until(async () => (await effectsOf(world, 'moody-%')) === 2)
      await drained(controller)
      const off = Math.max(...controller.log().map(({ time }) => Math.abs(Date.parse(String(time)) - Date.now())))
      const lateMs = runs.rows.map(({ id, at }) => at.getTime() - (dueAt[id.replace(/\d+$/, '')] ?? 0))
      const [earliestMs, latestMs] = [Math.round(Math.min(...lateMs)), Math.round(Math.max(...lateMs))]
      measured({ events: runs.rows.length, clockOffMinutes: Math.round(off / 60_000), earliestMs, latestMs })
      expect(off).toBeGreaterThan(3_000_000)
      expect(runs.rows.every(({ n }) => n === 1)).toBe(true)
      expect(earliestMs).toBeGreaterThan(-1_000)
      expect(latestMs).toBeLessThan(bound(5_000))
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)

row(
  25,
  'the disk of Postgres is full',
  { expected: 'fails closed: no 2xx for what is not stored; goes on when there is room again', N: { diskMb: 160 } },
  async ({ diskMb }, { measured }) => {
    const server = await startPostgresServer({ diskMb })
    const fill = join(server.folder, 'fill')
    try {
      await using world = await createWorld({ databaseUrl: server.url })
      const controller = await world.start()
      await world.ready()
      await until(() => world.ledger.send('hook-first', () => world.send('hook', 'hook-first')))
      fillDisk(fill)
      const note = 'x'.repeat(100_000)
      const began = performance.now()
      let refused = 0
      for (let n = 0; refused < 20 && n < 2_000; n++) {
        const id = `hook-full-${n}`
        if (!(await world.ledger.send(id, () => world.send('hook', id, { data: { note } })))) refused += 1
      }
      const fullAfterMs = Math.round(performance.now() - began)
      expect(refused).toBe(20)
      rmSync(fill)
      await server.restart()
      const roomAt = performance.now()
      await world.ready()
      const readyMs = Math.round(performance.now() - roomAt)
      const verdict = await settled(world, 60_000)
      measured({ diskMb, fullAfterMs, refused, readyMs, ...verdict })
      await drained(controller)
    } finally {
      await server.stop()
    }
  },
)

row(
  21,
  'Postgres fails over to its standby; before that its name led to the standby for a while, which only reads',
  {
    expected: 'not ready while it only reads, no 2xx; resumes ≤ 5 s by itself; synchronous replication: lost 0',
    N: { readOnlyMs: 5_000 },
    minutes: { N: 6 },
  },
  async ({ readOnlyMs }, { measured, progress }) => {
    await using pair = await startPostgresPair()
    /** Where the name of the server leads: new connections go there, open ones stay where they are. */
    const named = { port: portOf(pair.primary.url) }
    const proxy = await tcpProxy(named)
    const url = Object.assign(new URL(pair.primary.url), { port: String(proxy.port) }).href
    try {
      await using world = await createWorld({ databaseUrl: url })
      const controller = await world.start()
      await world.ready()
      const load = world.load()
      const resumedMs = async (): Promise<number> => {
        const [effects, began] = [await until(() => effectsOf(world)), performance.now()]
        await until(async () => (await effectsOf(world)) > effects, 60_000)
        return Math.round(performance.now() - began)
      }
      const hooks = (): number => [...world.ledger.acked].filter((id) => id.startsWith('hook')).length
      await until(async () => (await effectsOf(world)) > 50)

      named.port = portOf(pair.standby.url)
      proxy.reset()
      const ledAt = performance.now()
      await until(async () => (await world.probe('/readyz')) === 503, 30_000)
      const noticedMs = Math.round(performance.now() - ledAt)
      const { rows } = await until(() => world.database.query('select pg_is_in_recovery() as reads'))
      expect(rows).toEqual([{ reads: true }])
      await sleep(1_000)
      const [effects, accepted] = [await effectsOf(world), hooks()]
      const statuses = new Set<number>()
      for (const end = performance.now() + readOnlyMs; performance.now() < end; await sleep(200)) {
        statuses.add(await world.probe('/readyz'))
      }
      const meanwhile = { effects: (await effectsOf(world)) - effects, accepted: hooks() - accepted }
      named.port = portOf(pair.primary.url)
      const backAfterMs = await resumedMs()
      await world.ready()
      measured({ noticedMs, readyzWhileReadOnly: [...statuses].join(' and '), backAfterMs })
      progress(`row 21: back after ${backAfterMs} ms`)

      await pair.primary.kill()
      await sleep(500)
      await pair.promote()
      named.port = portOf(pair.standby.url)
      const failedOverMs = await resumedMs()
      await world.ready()
      await load.stop()
      const figures = await settled(world, 60_000)
      const parked = (await parkedOf(world)).length
      measured({ failedOverMs, parked, ...figures })
      await drained(controller)
      expect(meanwhile).toEqual({ effects: 0, accepted: 0 })
      expect([...statuses]).toEqual([503])
      expect(parked).toBe(0)
      expect(Math.max(backAfterMs, failedOverMs)).toBeLessThanOrEqual(5_000)
    } finally {
      await proxy.close()
    }
  },
)

row(
  18,
  'the Kafka broker is frozen for 15 s, restarted, and down for 32 s; its topic gets more partitions',
  { expected: 'resumes ≤ 10 s; lost 0', N: { frozenMs: 15_000, downMs: 32_000 }, minutes: { N: 6 } },
  async ({ frozenMs, downMs }, { measured }) => {
    const server = await startKafkaServer()
    try {
      await using world = await createWorld({ kafkaBrokers: server.url })
      const controller = await world.start()
      await world.ready()
      const load = world.load(['record'])
      /** Until an effect is there that was not before. */
      const resumed = async (): Promise<number> => {
        const [effects, began] = [await effectsOf(world), performance.now()]
        await until(async () => (await effectsOf(world)) > effects, 60_000)
        return Math.round(performance.now() - began)
      }
      await resumed()
      await server.pause()
      await sleep(frozenMs)
      const duringFreeze = await effectsOf(world)
      await sleep(500)
      expect(await effectsOf(world)).toBe(duringFreeze)
      server.resume()
      const afterFreezeMs = await resumed()
      await sleep(2_000)
      await server.restart()
      const afterRestartMs = await resumed()
      const admin = new Admin({ clientId: 'test', bootstrapBrokers: [server.url] })
      const assignments = [1, 1, 1].map((id) => ({ brokerIds: [id] }))
      await admin.createPartitions({ topics: [{ name: world.name, count: 6, assignments }] })
      await admin.close()
      const publisher = createKafkaPublisher([server.url])
      const headers = { 'content-type': 'application/json', ce_specversion: '1.0', ce_source: 'test', ce_type: 'plain' }
      const added = { value: '{"id":"record-added"}', partition: 5, headers: { ...headers, ce_id: 'record-added' } }
      await until(() => world.ledger.send('record-added', () => publisher.publish(world.name, [added])), 30_000)
      await publisher.close()
      await until(async () => (await effectsOf(world, 'record-added')) === 1, 60_000)
      await server.kill()
      await sleep(downMs)
      await server.restart()
      const afterDownMs = await resumed()
      await load.stop()
      const { reconnects } = (await world.admin<Status>('/status')).sources['log'] ?? {}
      const verdict = await settled(world, 60_000)
      measured({
        frozenMs,
        afterFreezeMs,
        afterRestartMs,
        downMs,
        afterDownMs,
        reconnects: reconnects ?? 0,
        ...verdict,
      })
      await drained(controller)
      expect(afterFreezeMs).toBeLessThanOrEqual(10_000)
      expect(afterRestartMs).toBeLessThanOrEqual(10_000)
      expect(afterDownMs).toBeLessThanOrEqual(10_000)
    } finally {
      await server.stop()
    }
  },
)

/** Until nothing more goes in. */
const fillDisk = (file: string): void => {
  const block = Buffer.alloc(65_536)
  try {
    for (;;) writeFileSync(file, block, { flag: 'a' })
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown
  }
}

const portOf = (url: string): number => Number(new URL(url).port)
