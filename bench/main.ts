import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { installPeers } from './peers/install.ts'
import { textOf } from './report.ts'
import { type Result, runWorkload } from './run.ts'
import { provideServers } from './support/servers.ts'
import { workloads } from './workloads.ts'

/**
 *   npm run bench -- [WORKLOAD…] [peers] [--json] [--rounds N] [--events N]
 *
 * Each workload once to warm up and then three times, its sides in turns; the median of each number. Servers run beside it and take their
 * share of the machine, so the load average is printed with the figures. `peers` runs other products in the same rounds, and
 * by itself those workloads that have some.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '3' }, events: { type: 'string' } },
})
const rounds = Number(values.rounds)
const asked = values.events === undefined ? undefined : Number(values.events)
const peers = positionals.includes('peers')
const asksFor = positionals.filter((name) => name !== 'peers')
const unknown = asksFor.filter((name) => !workloads.some((workload) => workload.name === name))
const isCount = (value: number): boolean => Number.isInteger(value) && value > 0

const refuse = (reason: string): void => {
  process.stderr.write(`${reason}\n`)
  process.exitCode = 2
}

const main = async (): Promise<void> => {
  const chosen = workloads.filter((workload) =>
    asksFor.length > 0 ? asksFor.includes(workload.name) : !peers || workload.peers !== undefined,
  )
  const print = (text: string): void => void (values.json === true || process.stdout.write(text))
  const machine = { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model ?? 'unknown' }
  const results: Result[] = []
  if (peers) installPeers()
  print(`Node ${machine.node}, ${machine.cores} cores (${machine.cpu})\n`)
  const stopServers = await provideServers(new Set(chosen.flatMap(({ servers }) => servers)))
  try {
    for (const workload of chosen) {
      const result = await runWorkload(workload, { events: asked ?? workload.events, rounds, peers })
      results.push(result)
      print(textOf(result))
    }
  } finally {
    await stopServers()
  }
  if (values.json === true) process.stdout.write(`${JSON.stringify({ ...machine, results }, null, 2)}\n`)
}

if (unknown.length > 0) {
  refuse(`There is no workload ${unknown.join(', ')}; there are ${workloads.map(({ name }) => name).join(', ')}.`)
} else if (!isCount(rounds) || (asked !== undefined && !isCount(asked))) {
  refuse('--rounds and --events are whole numbers from 1.')
} else {
  await main()
}
