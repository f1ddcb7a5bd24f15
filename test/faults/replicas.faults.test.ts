import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { createWorld } from '../e2e/lifecycle.harness.ts'
import { tcpBalancer } from '../support/balancer.ts'
import { freePort } from '../support/freePort.ts'
import { until } from '../support/until.ts'
import { backlog } from './backlog.ts'
import { row } from './record.ts'
import { drained, effectsOf, settled } from './verdict.ts'

/** Two controllers on the same servers. */
row(
  33,
  'two replicas, one killed',
  {
    expected: 'each row one effect; orphans back ≤ 30 s',
    P: { events: 2_000 },
    N: { events: 20_000 },
    minutes: { P: 5, N: 20 },
  },
  async ({ events }, { measured }) => {
    await using world = await createWorld()
    const journal = `${world.name}_journal`
    const count = async (query: string): Promise<number> => (await world.database.query(query)).rowCount ?? 0
    const survivor = await world.start()
    const victim = await world.start({
      PORT: String(await freePort()),
      KOKSMAT_ADMIN_PORT: String(await freePort()),
    })
    await backlog(world, 'shared', events)
    const shareOf = (pid: number) => count(`select from ${world.name}.executions where pid = ${pid}`)
    await until(async () => (await effectsOf(world)) > events / 4 && (await shareOf(victim.pid)) > 0, 60_000)
    victim.signal('SIGKILL')
    expect(await victim.exit).toEqual({ code: null, signal: 'SIGKILL' })
    const killedAt = performance.now()
    expect(await shareOf(survivor.pid)).toBeGreaterThan(0)
    expect(await effectsOf(world)).toBeLessThan(events)
    await until(
      async () =>
        (await count(`select from ${journal}.replica`)) === 1 &&
        (await count(`select from ${journal}.event where lease_by not in (select id from ${journal}.replica)`)) === 0,
      60_000,
    )
    const orphansBackMs = Math.round(performance.now() - killedAt)
    const figures = await settled(world, 180_000 + events * 5)
    measured({ events, byVictim: await shareOf(victim.pid), bySurvivor: await shareOf(survivor.pid) })
    measured({ orphansBackMs, ...figures })
    await drained(survivor)
    expect(figures['effects']).toBe(events)
    expect(orphansBackMs).toBeLessThanOrEqual(30_000)
  },
)

/** Posts so many a second over connections that are kept, none of them twice, and remembers what became of each. */
const postSteadily = (port: number, perSecond: number, send: (id: string, post: () => Promise<void>) => unknown) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  const outcomes: Record<string, number> = {}
  const note = (outcome: string | number) => {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  }
  const post = (id: string, lock: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const answered = (response: IncomingMessage): void => {
        note(response.statusCode ?? 0)
        response.resume().once('end', () => (response.statusCode === 202 ? resolve() : reject(new Error('refused'))))
      }
      const headers = { 'content-type': 'application/json', 'x-id': id, 'x-type': `swift.${lock}` }
      request({ port, path: '/hook', method: 'POST', agent, headers }, answered)
        .on('error', (error: NodeJS.ErrnoException) => {
          note(error.code ?? error.message)
          reject(error)
        })
        .end(JSON.stringify({ id }))
    })
  const began = performance.now()
  const sent: unknown[] = []
  const clock = setInterval(() => {
    while (sent.length < ((performance.now() - began) / 1_000) * perSecond) {
      const [id, lock] = [`hook-${sent.length}`, sent.length % 8]
      sent.push(send(id, () => post(id, lock)))
    }
  }, 5)
  return {
    outcomes,
    stop: async () => {
      clearInterval(clock)
      await Promise.all(sent)
      agent.destroy()
      return Math.round(sent.length / ((performance.now() - began) / 1_000))
    },
  }
}

row(
  34,
  'rolling deploys of two replicas behind a TCP balancer, with POSTs over keep-alive connections',
  {
    expected: 'no failed request: non-2xx 0, resets 0; lost 0',
    P: { deploys: 3, perSecond: 200 },
    N: { deploys: 20, perSecond: 200 },
    minutes: { P: 6, N: 15 },
  },
  async ({ deploys, perSecond }, { measured, progress }) => {
    await using world = await createWorld()
    const replicas = []
    for (const [port, adminPort] of [
      [world.port, world.adminPort],
      [await freePort(), await freePort()],
    ] as const) {
      const ports = { PORT: String(port), KOKSMAT_ADMIN_PORT: String(adminPort) }
      // What is refused for want of credit is another matter.
      const env = { ...ports, KOKSMAT_PRE_STOP_DELAY: '1s', LIFECYCLE_HOOK_CREDIT: '5000' }
      const readyz = `http://127.0.0.1:${adminPort}/readyz`
      replicas.push({ port, readyz, env, controller: await world.start(env) })
    }
    await using balancer = await tcpBalancer(replicas)
    await until(() => balancer.ready().length === 2, 30_000)
    const posts = postSteadily(balancer.port, perSecond, world.ledger.send)
    const taken: number[] = []
    for (let deploy = 1; deploy <= deploys; deploy++) {
      for (const replica of replicas) {
        await sleep(500)
        await drained(replica.controller)
        const { sources } = replica.controller.log().at(-1) as { sources: { hook: { settled: number } } }
        taken.push(sources.hook.settled)
        replica.controller = await world.start(replica.env)
        await until(() => balancer.ready().length === 2, 30_000)
      }
      progress(`deploy ${deploy} of ${deploys}: ${JSON.stringify(posts.outcomes)}`)
    }
    const postsPerSecond = await posts.stop()
    const figures = await settled(world, 60_000)
    measured({ deploys, postsPerSecond, ...balancer.failures(), fewestByOneReplica: Math.min(...taken) })
    for (const [outcome, count] of Object.entries(posts.outcomes)) measured({ [`answered_${outcome}`]: count })
    measured(figures)
    for (const { controller } of replicas) await drained(controller)
    expect(Object.keys(posts.outcomes)).toEqual(['202'])
    expect(balancer.failures()).toEqual({ resets: 0, untaken: 0 })
    expect(Math.min(...taken)).toBeGreaterThan(0)
  },
)
