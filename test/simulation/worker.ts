import { mutants, sound } from './mutants.ts'
import { runSeed, type Verdict } from './seed.ts'

/** Runs the seeds it is told, one after the other, and reports each. */
export interface Order {
  readonly from: number
  readonly to: number
  /** Takes each so manieth. */
  readonly step: number
  readonly mutant: string | undefined
}

export type Report = Omit<Verdict, 'trace'>

process.once('message', async ({ from, to, step, mutant }: Order) => {
  const broken = mutant === undefined ? sound : (mutants[mutant] ?? sound)
  for (let seed = from; seed <= to; seed += step) {
    const { trace: _, ...report } = await runSeed(seed, broken)
    process.send?.(report satisfies Report)
  }
  process.disconnect()
})
