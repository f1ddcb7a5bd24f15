import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { mutants, sound } from './mutants.ts'
import { runSeed } from './seed.ts'
import type { Order, Report } from './worker.ts'

const positive = (text: string): number => {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It wants a whole number from 1.')
  return Number(text)
}

interface Options {
  readonly seed?: number
  readonly seeds: number
  readonly from: number
  readonly workers: number
  readonly mutant?: string
}

const { seed, seeds, from, workers, mutant } = new Command('npm run simulate --')
  .description('Lets two replicas of the controller live through seeded histories of faults; the last line is JSON.')
  .option('--seed <n>', 'one history, with its trace', positive)
  .option('--seeds <n>', 'how many', positive, 10_000)
  .option('--from <n>', 'the first', positive, 1)
  .option('--workers <n>', 'processes', positive, availableParallelism())
  .addOption(
    new Option('--mutant <name>', 'with the product broken on purpose; ends with the first seed that finds it').choices(
      Object.keys(mutants),
    ),
  )
  .parse()
  .opts<Options>()
const product = mutants[mutant ?? ''] ?? sound
const say = (line: string): void => void process.stdout.write(`${line}\n`)

const one = async (no: number): Promise<void> => {
  const { trace, digest, violations, faults, events, runs } = await runSeed(no, product)
  for (const line of trace) say(line)
  say(`seed ${no}: ${JSON.stringify({ events, runs, faults, violations, digest })}`)
  if (violations.length > 0) process.exitCode = 1
}

const many = async (): Promise<void> => {
  const beganAt = process.hrtime.bigint()
  const totals = { seeds: 0, events: 0, runs: 0 }
  const faults: Record<string, number> = {}
  const failed: Report[] = []
  const digests: string[] = []
  const forked = Array.from({ length: Math.min(workers, seeds) }, () => fork(join(import.meta.dirname, 'worker.ts')))

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
    if (mutant !== undefined) for (const worker of forked) worker.kill()
  }

  await Promise.all(
    forked.map((worker, index) => {
      worker.on('message', take)
      worker.send({ from: from + index, to: from + seeds - 1, step: forked.length, mutant } satisfies Order)
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
  say(JSON.stringify({ ...totals, failed: failed.map((report) => report.seed), faults, digest, seconds }))
  if (failed.length > 0) process.exitCode = 1
}

await (seed === undefined ? many() : one(seed))
