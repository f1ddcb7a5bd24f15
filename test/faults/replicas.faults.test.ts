import { expect } from 'vitest'
import { createWorld } from '../e2e/lifecycle.harness.ts'
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
