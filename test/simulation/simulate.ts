import { join } from 'node:path'
import { startProcess } from '../support/processDriver.ts'

/** What `npm run simulate` says in its last line. */
export interface Summary {
  readonly seeds: number
  readonly events: number
  readonly runs: number
  /** Seeds that violate the oracle. */
  readonly failed: readonly number[]
  readonly faults: Readonly<Record<string, number>>
  /** Of all traces. */
  readonly digest: string
  readonly seconds: number
}

/** Runs the simulation in processes of its own: it takes over their clocks. */
export const simulate = async (...args: readonly string[]): Promise<{ summary: Summary; output: string }> => {
  await using simulation = startProcess([join(import.meta.dirname, 'main.ts'), ...args])
  await simulation.exit
  const summary = simulation.log().at(-1)
  if (summary === undefined) throw new Error(`The simulation told no result:\n${simulation.output().slice(-5_000)}`)
  return { summary: summary as unknown as Summary, output: simulation.output() }
}

/** The whole trace of one seed. */
export const traceOf = async (seed: number): Promise<string> => {
  await using simulation = startProcess([join(import.meta.dirname, 'main.ts'), '--seed', String(seed)])
  await simulation.exit
  return simulation.output()
}
