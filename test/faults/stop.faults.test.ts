import { expect } from 'vitest'
import { createWorld } from '../e2e/lifecycle.harness.ts'
import { quantile, row } from './record.ts'

row(
  1,
  'SIGTERM, idle',
  { expected: 'clean stop, exit 0 ≤ 500 ms', P: { rounds: 3 }, N: { rounds: 20 } },
  async ({ rounds }, { measured }) => {
    await using world = await createWorld()
    const tookMs: number[] = []
    for (let round = 1; round <= rounds; round++) {
      const controller = await world.start()
      await world.ready()
      const began = performance.now()
      controller.signal('SIGTERM')
      expect(await controller.exit, controller.output()).toEqual({ code: 0, signal: null })
      tookMs.push(performance.now() - began)
      expect(controller.log().at(-1)).toMatchObject({ msg: 'drained', clean: true, unsettled: [] })
    }
    const slowestMs = Math.round(Math.max(...tookMs))
    measured({ rounds, medianMs: Math.round(quantile(tookMs, 0.5)), slowestMs })
    expect(slowestMs).toBeLessThanOrEqual(500)
  },
)
