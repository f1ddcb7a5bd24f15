import { mkdirSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { installPeers } from './peers/install.ts'
import { markdownOf, textOf } from './report.ts'
import { type Result, runWorkload } from './run.ts'
import { provideServers } from './support/servers.ts'
import { workloads } from './workloads.ts'

const help = `npm run bench -- [WORKLOAD…] [peers] [options]

Measures the controller beside what it is compared with: each workload once to warm up and then
three times, its sides in turns, each side in a process of its own; prints the median of each number.
Servers run beside it and take their share of the machine, so the load average is printed too.
PostgreSQL, RabbitMQ and Kafka are started for it, unless DATABASE_URL, AMQP_URL and KAFKA_BROKERS
name others.

  WORKLOAD…      only these (default: all)
  peers          other products in the same rounds: graphile-worker, pg-boss, NestJS, kafkajs;
                 installed into bench/peers from a lock file of their own
  --rounds N     measured rounds (default 3)
  --events N     events of a run, instead of each workload's own number
  --profile DIR  a CPU profile of each side in DIR, for the developer tools of a browser
  --json         one JSON value
  --markdown     a table for a page
  --help         this text

Examples:
  $ npm run bench                               everything
  $ npm run bench -- peers                      everything, and other products beside it
  $ npm run bench -- tableQueue peers           one workload with its peers
  $ npm run bench -- control --rounds 5
  $ npm run bench -- rabbitmqQuorum kafka --json
  $ npm run bench -- control --profile /tmp/profiles

Workloads:
${workloads.map(({ name, about }) => `  ${name.padEnd(20)} ${about}\n`).join('')}`

const usage = (): Usage => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '3' },
      events: { type: 'string' },
      profile: { type: 'string' },
    },
  })
  const names = positionals.filter((name) => name !== 'peers')
  const unknown = names.filter((name) => !workloads.some((workload) => workload.name === name))
  if (unknown.length > 0) {
    throw new Error(`There is no workload ${unknown.join(', ')}; there are ${workloads.map(nameOf).join(', ')}.`)
  }
  const rounds = Number(values.rounds)
  const events = values.events === undefined ? undefined : Number(values.events)
  if (!isCount(rounds) || (events !== undefined && !isCount(events))) {
    throw new Error('--rounds and --events are whole numbers from 1.')
  }
  return { ...values, names, peers: positionals.includes('peers'), rounds, events }
}

interface Usage {
  readonly names: readonly string[]
  readonly peers: boolean
  readonly rounds: number
  readonly events: number | undefined
  readonly profile?: string | undefined
  readonly json: boolean
  readonly markdown: boolean
  readonly help: boolean
}

const nameOf = ({ name }: { readonly name: string }): string => name
const isCount = (value: number): boolean => Number.isInteger(value) && value > 0

const run = async ({ names, peers, rounds, events, profile, json, markdown }: Usage): Promise<void> => {
  const chosen = workloads.filter(({ name }) => names.length === 0 || names.includes(name))
  const print = (text: string): void => void (json || markdown || process.stdout.write(text))
  const machine = { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model ?? 'unknown' }
  const results: Result[] = []
  if (peers) installPeers()
  if (profile !== undefined) mkdirSync(profile, { recursive: true })
  print(`Node ${machine.node}, ${machine.cores} cores (${machine.cpu})\n`)
  const stopServers = await provideServers(new Set(chosen.flatMap(({ servers }) => servers)))
  try {
    for (const workload of chosen) {
      const more = profile === undefined ? {} : { profiles: profile }
      const result = await runWorkload(workload, { events: events ?? workload.events, rounds, peers, ...more })
      results.push(result)
      print(textOf(result))
    }
  } finally {
    await stopServers()
  }
  if (json) process.stdout.write(`${JSON.stringify({ ...machine, results }, null, 2)}\n`)
  if (markdown) process.stdout.write(markdownOf(results))
}

const main = async (): Promise<void> => {
  let asked: Usage
  try {
    asked = usage()
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : thrown}\nSee npm run bench -- --help.\n`)
    process.exitCode = 2
    return
  }
  if (asked.help) process.stdout.write(help)
  else await run(asked)
}

await main()
