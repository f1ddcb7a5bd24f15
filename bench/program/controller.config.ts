import { setTimeout as sleep } from 'node:timers/promises'

/**
 * The controller, as it is compiled, of those workloads that start the real program. `BENCH_NAME` names what it listens to, so that each
 * run of the bench has its own; without `AMQP_URL` and `KAFKA_BROKERS` it listens to the table queue alone. It tells what
 * it has used when it is asked by SIGUSR2.
 */
const built: string = 'koksmat-controller'
const api: typeof import('../../src/index.ts') = await import(built)
const { defineController, kafka, on, poll, rabbitmq, tableQueue, unsigned, webhook } = api
const name = process.env['BENCH_NAME'] ?? 'bench'

process.on('SIGUSR2', () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  const usage = { cpuMicros: userCPUTime + systemCPUTime, megabytes: maxRSS / 1_024 }
  process.stdout.write(`${JSON.stringify(usage)}\n`)
})

const everyKind = {
  rabbit: rabbitmq({ queue: name }),
  ...(process.env['BENCH_KAFKA'] === 'no' ? {} : { log: kafka({ topics: [name], groupId: name }) }),
  rows: poll({ table: `${name}.watched`, where: `status = 'new'`, mark: { status: 'seen' }, type: 'bench.row' }),
  hook: webhook({ path: '/hook', type: 'bench.hook', signature: unsigned() }),
}

export default defineController({
  sources: {
    table: tableQueue({ queue: name, credit: 1_000 }),
    ...(process.env['KAFKA_BROKERS'] === undefined ? {} : everyKind),
  },
  handlers: [
    on('bench.slow', () => sleep(Number(process.env['BENCH_HANDLER_MS'] ?? 0))),
    on('bench.*', async () => undefined),
  ],
})
