import { expect } from 'vitest'
import { simulate } from '../simulation/simulate.ts'
import { row } from './record.ts'

const kinds = [
  'kill',
  'death at a step',
  'freeze',
  'drain',
  'cut',
  'broker down',
  'database down',
  'broken claim',
  'broken commit',
]

row(
  45,
  'deterministic simulation: two replicas, fake drivers, simulated clock, seeded faults',
  {
    expected: 'the oracle holds for each seed; 10,000 seeds ≤ 3 min',
    P: { seeds: 300, mostSeconds: 120 },
    N: { seeds: 10_000, mostSeconds: 180 },
    minutes: { N: 15 },
  },
  async ({ seeds, mostSeconds }, { measured }) => {
    const { summary, output } = await simulate('--seeds', String(seeds))
    const { events, runs, failed, faults, seconds } = summary
    const injected = Object.values(faults).reduce((sum, n) => sum + n, 0)
    measured({ seeds: summary.seeds, events, runs, faults: injected, violations: failed.length, seconds })
    expect(failed, output).toEqual([])
    expect(summary.seeds).toBe(seeds)
    for (const kind of kinds) expect(faults[kind], kind).toBeGreaterThan(0)
    expect(seconds).toBeLessThanOrEqual(mostSeconds)
  },
)
