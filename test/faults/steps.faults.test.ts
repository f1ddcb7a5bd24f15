import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { createWorld, type Entrance, type World } from '../e2e/lifecycle.harness.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'
import { row } from './record.ts'
import { drained, effectsOf, parkedOf, settled } from './verdict.ts'

const preload = { NODE_OPTIONS: `--import ${new URL('steps.preload.ts', import.meta.url).href}` }

/** One event through each entrance, one that fails once, and one whose handler has no transaction. */
const sendOfEach = async ({ ledger, send }: World, round: number, over: () => boolean): Promise<void> => {
  const deliver = (entrance: Entrance, id: string, sent = {}) => ledger.send(id, () => send(entrance, id, sent))
  await Promise.all([
    deliver('table', `table-${round}`),
    deliver('table', `moody-${round}`, { type: 'moody', data: { fail: 'once' } }),
    deliver('row', `row-${round}`),
    deliver('rabbit', `rabbit-${round}`),
    deliver('rabbit', `plain-${round}`, { type: 'plain' }),
    deliver('record', `record-${round}`),
  ])
  for (let tries = 1; !over() && !(await deliver('hook', `hook-${round}-${tries}`)); tries++) await sleep(50)
}

const stepsIn = (output: string): readonly string[] =>
  [...output.matchAll(/^step: (.+)$/gm)].flatMap(([, name]) => name ?? [])

row(
  5,
  'SIGKILL at every step into and out of drivers, journal, transactions and commits',
  {
    expected: 'lost 0, unexpected 0, duplicate effects 0, parked 0; killed at every step that a life was seen to take',
    // Every so many steps.
    P: { every: 4 },
    N: { every: 1 },
    minutes: { P: 8, N: 40 },
  },
  async ({ every }, { measured, progress }) => {
    await using world = await createWorld()
    const first = await world.start(preload)
    await world.ready()
    await sendOfEach(world, 0, () => false)
    await until(async () => (await effectsOf(world)) >= 7, 30_000)
    await until(() => world.empty())
    const alive = new Set(stepsIn(first.output()))
    await drained(first)
    const ofDrain = new Set(stepsIn(first.output())).difference(alive)
    const steps = [...alive, ...ofDrain].filter((_, index) => index % every === 0)

    const dieAt = async (name: string, round: number): Promise<void> => {
      const controller: DrivenProcess = world.spawn({ ...preload, KILL_AT: name })
      let over = false
      const exit = controller.exit.finally(() => {
        over = true
      })
      await sendOfEach(world, round, () => over)
      if (ofDrain.has(name)) {
        await until(async () => over || (await world.probe('/readyz')) === 200, 30_000)
        if (!over) controller.signal('SIGTERM')
      }
      await until(() => over, 60_000).catch((cause) => {
        throw new Error(`It was never seen at ${name}`, { cause })
      })
      expect([name, await exit]).toEqual([name, { code: null, signal: 'SIGKILL' }])
    }
    for (const [index, name] of steps.entries()) {
      await dieAt(name, index + 1)
      if (index % 10 === 9) progress(`row 5: ${index + 1} of ${steps.length} steps`)
    }
    const controller = await world.start()
    const figures = await settled(world, 180_000)
    const parked = (await parkedOf(world)).length
    measured({ steps: alive.size + ofDrain.size, killedAt: steps.length, ...figures, parked })
    await drained(controller)
    expect(parked).toBe(0)
  },
)
