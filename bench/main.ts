import { availableParallelism, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { atomic } from './atomic.ts'
import { control } from './control.ts'
import { type Measured, measure, medianOf } from './measure.ts'
import { poll } from './poll.ts'
import { rabbitmq } from './rabbitmq.ts'
import { tableQueue } from './tableQueue.ts'
import type { Side, Workload } from './workload.ts'

/**
 *   npm run bench -- [WORKLOAD…] [--json]
 *
 * Each workload three times, the controller and the bare client in turns, then the medians. Figures are of this process;
 * servers run beside it and take their share of the machine, so the load average is printed with them.
 */
const workloads: readonly Workload[] = [control, tableQueue, rabbitmq, atomic, poll]
const rounds = 3

interface Result {
  readonly workload: string
  readonly events: number
  readonly controller: Measured
  readonly bare?: Measured
  readonly ofBare?: number
  readonly goal: string
  readonly reached: boolean
  readonly loadAverage: readonly number[]
}

const runOnce = async (events: number, side: Side): Promise<Measured> => {
  const run = await side()
  const measured = await measure(events, run)
  await run.end()
  return measured
}

const runAll = async ({ name, events, goal, open }: Workload): Promise<Result> => {
  const bench = await open()
  try {
    const controllers: Measured[] = []
    const bares: Measured[] = []
    for (let round = 0; round < rounds; round++) {
      if (bench.bare !== undefined) bares.push(await runOnce(events, bench.bare))
      controllers.push(await runOnce(events, bench.controller))
    }
    const controller = medianOf(controllers)
    const bare = bares.length === 0 ? undefined : medianOf(bares)
    const share = bare === undefined ? 0 : Math.round((controller.perSecond / bare.perSecond) * 100) / 100
    const perSecond = 'perSecond' in goal
    return {
      workload: name,
      events,
      controller,
      ...(bare === undefined ? {} : { bare, ofBare: share }),
      goal: perSecond ? `${goal.perSecond.toLocaleString('en')}/s` : `${goal.ofBare} × bare`,
      reached: perSecond ? controller.perSecond >= goal.perSecond : share >= goal.ofBare,
      loadAverage: loadavg().map((load) => Math.round(load * 100) / 100),
    }
  } finally {
    await bench.close()
  }
}

const line = (name: string, side: string, { perSecond, cpuMicrosPerEvent, peakMegabytes }: Measured): string => {
  const figures = [
    `${perSecond.toLocaleString('en').padStart(9)} events/s`,
    `${cpuMicrosPerEvent.toFixed(1).padStart(7)} µs CPU/event`,
    `${String(peakMegabytes).padStart(5)} MB peak`,
  ]
  return `${name.padEnd(12)} ${side.padEnd(10)} ${figures.join('  ')}\n`
}

const textOf = (result: Result): string => {
  const { workload, controller, bare, ofBare, goal, reached, loadAverage } = result
  const compared = ofBare === undefined ? '' : `${ofBare} × bare, `
  return [
    bare === undefined ? '' : line(workload, 'bare', bare),
    line(workload, 'controller', controller),
    `${' '.repeat(13)}${compared}goal ${goal}: ${reached ? 'reached' : 'not reached'}; load average ${loadAverage.join(' ')}\n`,
  ].join('')
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } })
const unknown = positionals.filter((name) => !workloads.some((workload) => workload.name === name))
if (unknown.length > 0) {
  const known = workloads.map(({ name }) => name).join(', ')
  process.stderr.write(`There is no workload ${unknown.join(', ')}; there are ${known}.\n`)
  process.exitCode = 2
} else {
  const chosen = workloads.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  const results: Result[] = []
  if (values.json !== true) process.stdout.write(`Node ${process.version}, ${availableParallelism()} cores\n`)
  for (const workload of chosen) {
    const result = await runAll(workload)
    results.push(result)
    if (values.json !== true) process.stdout.write(textOf(result))
  }
  if (values.json === true) process.stdout.write(`${JSON.stringify({ node: process.version, results }, null, 2)}\n`)
}
