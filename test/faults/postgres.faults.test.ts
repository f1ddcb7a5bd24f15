import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect } from 'vitest'
import type { Status } from '../../src/status.ts'
import { createWorld, type World } from '../e2e/lifecycle.harness.ts'
import { answers } from '../support/answers.ts'
import { freePort } from '../support/freePort.ts'
import { startPostgresServer } from '../support/postgresServer.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import type { TestServer } from '../support/serverKinds.ts'
import { type TcpProxy, tcpProxy } from '../support/tcpProxy.ts'
import { until } from '../support/until.ts'
import { quantile, row } from './record.ts'
import { drained, effectsOf, parkedOf, settled } from './verdict.ts'

/** What a Postgres does to a controller. One controller lives through most of it, on a server of its own. */
let server: TestServer
let proxy: TcpProxy
let world: World
let controller: DrivenProcess

const proxied = (): Readonly<Record<string, string>> => {
  const url = new URL(server.url)
  url.port = String(proxy.port)
  return { DATABASE_URL: url.href }
}

beforeAll(async () => {
  server = await startPostgresServer()
  proxy = await tcpProxy({ port: Number(new URL(server.url).port) })
  world = await createWorld({ databaseUrl: server.url })
  controller = await world.start(proxied())
  await world.ready()
})

afterAll(async () => {
  try {
    await drained(controller)
  } finally {
    await world[Symbol.asyncDispose]()
    await proxy.close()
    await server.stop()
  }
})

/** Posts webhooks one after the other, several at a time, and remembers what they were answered, and how late. */
const postWebhooks = (name: string) => {
  const statuses: Record<number, number> = {}
  const tookMs: number[] = []
  let going = true
  const post = async (id: string): Promise<void> => {
    const began = performance.now()
    const response = await fetch(`http://127.0.0.1:${world.port}/hook`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-id': id },
      body: JSON.stringify({ id }),
    })
    await response.text()
    tookMs.push(performance.now() - began)
    statuses[response.status] = (statuses[response.status] ?? 0) + 1
    if (!response.ok) throw new Error(`answered ${response.status}`)
  }
  const senders = Array.from({ length: 4 }, async (_, sender) => {
    for (let n = 0; going; n++) {
      await world.ledger.send(`${name}-${sender}-${n}`, post)
      await sleep(50)
    }
  })
  return {
    statuses,
    stop: async () => {
      going = false
      await Promise.all(senders)
      return { answered: tookMs.length, refusedWith503: statuses[503] ?? 0, slowestMs: Math.round(quantile(tookMs, 1)) }
    },
  }
}

row(
  20,
  'Postgres sessions are killed every 500 ms, also inside a transaction',
  {
    expected: 'the whole transaction again; lost 0, duplicate effects 0, no attempt charged',
    P: { kills: 20 },
    N: { kills: 200 },
  },
  async ({ kills }, { measured }) => {
    const load = world.load()
    let sessions = 0
    let inTransaction = 0
    for (let kill = 1; kill <= kills; kill++) {
      await sleep(500)
      const { rows } = await world.database.query<{ within: boolean }>(
        `select xact_start is not null as within, pg_terminate_backend(pid)
         from pg_stat_activity where application_name like 'koksmat%' and pid <> pg_backend_pid()`,
      )
      sessions += rows.length
      inTransaction += rows.filter(({ within }) => within).length
    }
    await load.stop()
    const verdict = await settled(world, 60_000 + world.ledger.acked.size * 5)
    const parked = (await parkedOf(world)).length
    measured({ kills, sessions, inTransaction, parked, ...verdict })
    expect(inTransaction).toBeGreaterThan(kills / 2)
    expect(parked).toBe(0)
  },
)

row(
  22,
  'Postgres is slow, and then frozen',
  {
    expected: 'timeouts and shed load; slowest webhook reply ≤ 2.5 s, 202 again at once',
    P: { frozenMs: 6_000 },
    N: { frozenMs: 60_000 },
  },
  async ({ frozenMs }, { bound, measured }) => {
    const hooks = postWebhooks('slow')
    proxy.delay(400)
    await sleep(3_000)
    const acceptedSlowly = hooks.statuses[202] ?? 0
    proxy.blackHole()
    await sleep(frozenMs)
    proxy.heal()
    const before = hooks.statuses[202] ?? 0
    const healedAt = performance.now()
    await until(() => (hooks.statuses[202] ?? 0) > before)
    const acceptingAfterMs = Math.round(performance.now() - healedAt)
    await world.ready()
    const readyAfterMs = Math.round(performance.now() - healedAt)
    const answered = await hooks.stop()
    const verdict = await settled(world)
    measured({ frozenMs, acceptedSlowly, ...answered, acceptingAfterMs, readyAfterMs, ...verdict })
    expect(Object.keys(hooks.statuses)).toEqual(['202', '503'])
    expect(answered.slowestMs).toBeLessThanOrEqual(bound(2_500))
    expect(acceptingAfterMs).toBeLessThanOrEqual(bound(2_500))
  },
)

row(
  23,
  'the LISTEN connection is lost: reset, and silently half-open',
  {
    expected: 'polling covers: picked ≤ interval + 0.5 s; LISTEN is back ≤ 60 s',
    P: { rounds: 1 },
    N: { rounds: 5 },
    minutes: { N: 15 },
  },
  async ({ rounds }, { bound, measured }) => {
    const intervalMs = 4_500
    const slowest = { resetMs: 0, halfOpenMs: 0, resetBackMs: 0, halfOpenBackMs: 0 }
    let sent = 0
    /** From putting an event into a table queue to its run. */
    const pickedMs = async (): Promise<number> => {
      const id = `listen-${++sent}`
      await world.ledger.send(id, () => world.enqueue(id, 'table.queued', 'seldom'))
      const began = performance.now()
      await until(async () => (await effectsOf(world, id)) === 1)
      return performance.now() - began
    }
    /** The session that listens holds the lock which says that its replica lives, and takes it after LISTEN. */
    const listener = async (): Promise<number | undefined> => {
      const { rows } = await world.database.query<{ pid: number }>(
        `select pid from pg_locks join pg_stat_activity using (pid)
         where locktype = 'advisory' and granted and state = 'idle' and application_name like '%:' || $1`,
        [String(controller.pid)],
      )
      return rows[0]?.pid
    }
    /** After one poll without events the next is far away: who comes at once was called. */
    const isCalled = async (kind: 'reset' | 'halfOpen'): Promise<boolean> => {
      await sleep(intervalMs * 1.2)
      const ms = await pickedMs()
      slowest[`${kind}Ms`] = Math.max(slowest[`${kind}Ms`], ms)
      return ms < 250
    }
    for (let round = 1; round <= rounds; round++) {
      for (const kind of ['reset', 'halfOpen'] as const) {
        await sleep(intervalMs * 1.2)
        const before = await until(listener)
        if (kind === 'halfOpen') expect(proxy.mute(/listen "/)).toBeGreaterThan(0)
        else await world.database.query('select pg_terminate_backend($1)', [before])
        const cutAt = performance.now()
        slowest[`${kind}Ms`] = Math.max(slowest[`${kind}Ms`], await pickedMs())
        while (!(await isCalled(kind))) expect(performance.now() - cutAt).toBeLessThan(60_000)
        slowest[`${kind}BackMs`] = Math.max(slowest[`${kind}BackMs`], performance.now() - cutAt)
        // At last the server notices that nobody is at the other end.
        await world.database.query('select pg_terminate_backend($1)', [before])
        await until(async () => ![undefined, before].includes(await listener()), 20_000)
      }
    }
    measured(Object.fromEntries(Object.entries(slowest).map(([name, ms]) => [name, Math.round(ms)])))
    expect(Math.max(slowest.resetMs, slowest.halfOpenMs)).toBeLessThanOrEqual(bound(intervalMs * 1.1 + 500))
    await settled(world)
  },
)

row(
  19,
  'Postgres is restarted every 5-10 s, down 0-2 s',
  {
    expected: '503 ≤ 2.5 s, never a hang; handling again ≤ 2 s after it answers; lost 0',
    P: { restarts: 3 },
    N: { restarts: 40 },
    minutes: { N: 10 },
  },
  async ({ restarts }, { bound, measured, progress }) => {
    const load = world.load()
    const hooks = postWebhooks('restart')
    const resumedMs: number[] = []
    const starts = new Set<string>()
    for (let restart = 1; restart <= restarts; restart++) {
      await sleep(5_000 + Math.random() * 3_000)
      if (restart % 2 === 1) {
        await server.kill()
        await sleep(Math.random() * 2_000)
      }
      await server.restart()
      await until(() => answers.postgres(server.url))
      const answersAt = performance.now()
      const effects = await until(() => effectsOf(world))
      await until(async () => (await effectsOf(world)) > effects && (await world.probe('/readyz')) === 200, 30_000)
      resumedMs.push(performance.now() - answersAt)
      const { rows } = await world.database.query<{ start: string }>('select pg_postmaster_start_time()::text as start')
      starts.add(rows[0]?.start ?? '')
      progress(`restart ${restart} of ${restarts}: handling again after ${Math.round(resumedMs.at(-1) ?? 0)} ms`)
    }
    await load.stop()
    const answered = await hooks.stop()
    const verdict = await settled(world, 60_000 + world.ledger.acked.size * 5)
    const parked = (await parkedOf(world)).length
    const slowestResumeMs = Math.round(quantile(resumedMs, 1))
    measured({ restarts, ...answered, slowestResumeMs, parked, ...verdict })
    expect(Object.keys(hooks.statuses)).toEqual(['202', '503'])
    expect(answered.slowestMs).toBeLessThanOrEqual(bound(2_500))
    expect(starts.size).toBe(restarts)
    expect(slowestResumeMs).toBeLessThanOrEqual(bound(2_000))
  },
)

row(
  24,
  'a replica freezes while it holds rows and a lock',
  {
    expected: 'another takes over ≤ 5 s for locks, ≤ 30 s for leases; what the frozen one does later has no effect',
    P: { events: 300 },
    N: { events: 5_000 },
  },
  async ({ events }, { bound, measured }) => {
    const other = await world.start({ KOKSMAT_ADMIN_PORT: String(await freePort()), PORT: String(await freePort()) })
    for (let n = 0; n < events; n++) {
      const id = `frozen-${n}`
      await world.ledger.send(id, () => world.send('table', id))
    }
    const journal = `${world.name}_journal`
    const leasedToFrozen = async (): Promise<number> => {
      const { rows } = await world.database.query<{ n: number }>(
        `select count(*)::int as n from ${journal}.event where lease_by = any($1::bigint[])`,
        [numbers],
      )
      return rows[0]?.n ?? 0
    }
    const { rows: registered } = await world.database.query<{ id: string }>(
      `select id::text from ${journal}.replica where name like '%:' || $1`,
      [String(controller.pid)],
    )
    const numbers = registered.map(({ id }) => id)
    await until(async () => (await leasedToFrozen()) > 0)
    controller.signal('SIGSTOP')
    const frozenAt = performance.now()
    const leased = await leasedToFrozen()
    const runsOfOther = async (): Promise<number> => {
      const query = `select from ${world.name}.executions where pid = $1`
      return (await world.database.query(query, [other.pid])).rowCount ?? 0
    }
    const before = await runsOfOther()
    await until(async () => (await runsOfOther()) > before, 30_000)
    const lockTakenOverMs = Math.round(performance.now() - frozenAt)
    await until(async () => (await leasedToFrozen()) === 0, 60_000)
    const leasesTakenOverMs = Math.round(performance.now() - frozenAt)
    await until(async () => (await effectsOf(world, 'frozen-%')) === events, 90_000)
    controller.signal('SIGCONT')
    const verdict = await settled(world)
    measured({ events, leased, lockTakenOverMs, leasesTakenOverMs, ...verdict })
    await drained(other)
    expect(lockTakenOverMs).toBeLessThanOrEqual(bound(5_000))
    expect(leased).toBeGreaterThan(0)
    expect(leasesTakenOverMs).toBeLessThanOrEqual(30_000)
  },
)

row(
  42,
  'Postgres is down at boot',
  { expected: 'live, not ready, tries again; ready ≤ 3 s after it comes', P: { downMs: 3_000 }, N: { downMs: 30_000 } },
  async ({ downMs }, { bound, measured }) => {
    await drained(controller)
    await server.kill()
    controller = await world.start(proxied())
    expect([await world.probe('/livez'), await world.probe('/readyz')]).toEqual([200, 503])
    const { journal } = await world.admin<Status>('/status').catch(() => ({ journal: undefined }))
    await sleep(downMs)
    await server.restart()
    const answersAt = performance.now()
    await world.ready()
    const readyMs = Math.round(performance.now() - answersAt)
    measured({ downMs, readyMs, journalSaid: journal?.state ?? 'nothing' })
    await world.ledger.send('after-boot', () => world.send('table', 'after-boot'))
    await settled(world)
    expect(readyMs).toBeLessThanOrEqual(bound(3_000))
  },
)
