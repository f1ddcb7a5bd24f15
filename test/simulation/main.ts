import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { mutants, sound } from './mutants.ts'
import { runSeed } from './seed.ts'
import type { Order, Report } from './worker.ts'

/**
 * The simulation: `npm run simulate`, or `npm run simulate -- --seed 42` for one history with its trace.
 *
 * --seeds N      how many (default 10,000)   --from N     the first (default 1)
 * --workers N    processes (default: one a core)
 * --mutant NAME  with the product broken on purpose; ends with the first seed that finds it
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) },
    mutant: { type: 'string' },
  },
})
const { mutant } = values
const say = (line: string): void => void process.stdout.write(`${line}\n`)

if (mutant !== undefined && mutants[mutant] === undefined) {
  throw new Error(`There is no mutant ${mutant}; there are: ${Object.keys(mutants).join(', ')}.`)
}

const one = async (seed: number): Promise<void> => {
  const { trace, digest, violations, faults, events, runs } = await runSeed(
    seed,
    mutant === undefined ? sound : (mutants[mutant] ?? sound),
  )
  for (const line of trace) say(line)
  say(`seed ${seed}: ${JSON.stringify({ events, runs, faults, violations, digest })}`)
  if (violations.length > 0) process.exitCode = 1
}

const many = async (): Promise<void> => {
  const [from, count, step] = [Number(values.from), Number(values.seeds), Number(values.workers)]
  const beganAt = process.hrtime.bigint()
  const totals = { seeds: 0, events: 0, runs: 0 }
  const faults: Record<string, number> = {}
  const failed: Report[] = []
  const digests: string[] = []
  const workers = Array.from({ length: Math.min(step, count) }, () => fork(join(import.meta.dirname, 'worker.ts')))

  const take = (report: Report): void => {
    totals.seeds++
    totals.events += report.events
    totals.runs += report.runs
    digests.push(`${report.seed} ${report.digest}`)
    for (const [name, n] of Object.entries(report.faults)) faults[name] = (faults[name] ?? 0) + n
    if (totals.seeds % 1_000 === 0) say(`${totals.seeds} seeds`)
    if (report.violations.length === 0) return
    failed.push(report)
    say(`seed ${report.seed} fails:`)
    for (const violation of report.violations.slice(0, 5)) say(`  ${violation}`)
    if (mutant !== undefined) for (const worker of workers) worker.kill()
  }

  await Promise.all(
    workers.map((worker, index) => {
      worker.on('message', take)
      worker.send({ from: from + index, to: from + count - 1, step, mutant } satisfies Order)
      return new Promise<void>((resolve) => {
        worker.once('exit', (code) => {
          if (code !== 0 && code !== null) process.exitCode = 1
          resolve()
        })
      })
    }),
  )
  failed.sort((a, b) => a.seed - b.seed)
  const seconds = Number((process.hrtime.bigint() - beganAt) / 1_000_000n) / 1_000
  const digest = createHash('sha256').update(digests.sort().join('\n')).digest('hex').slice(0, 16)
  say(JSON.stringify({ ...totals, failed: failed.map(({ seed }) => seed), faults, digest, seconds }))
  if (failed.length > 0) process.exitCode = 1
}

await (values.seed === undefined ? many() : one(Number(values.seed)))
