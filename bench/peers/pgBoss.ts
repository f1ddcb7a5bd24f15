import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { addressOf } from '../support/servers.ts'
import type { OpenSide, Run } from '../workload.ts'
import { countdown } from './counter.ts'
import { loadPeer } from './install.ts'

interface Boss {
  start(): Promise<unknown>
  stop(options: object): Promise<void>
  createQueue(name: string): Promise<void>
  insert(name: string, jobs: readonly object[]): Promise<unknown>
  work(name: string, options: object, handler: (jobs: readonly unknown[]) => Promise<void>): Promise<string>
  offWork(name: string): Promise<void>
}

const batchSize = 500
const queue = 'bench'
const options = { batchSize, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5, localConcurrency: 4 }

/** Batches of five hundred, which it fetches and completes in one statement each. */
export const pgBoss: OpenSide = async (events) => {
  const { PgBoss } = await loadPeer<{ PgBoss: new (options: object) => Boss }>('pg-boss')
  const schema = `bench_pb_${randomUUID().slice(0, 8)}`
  const client = new pg.Client({ connectionString: addressOf('postgres') })
  await client.connect()
  const boss = new PgBoss({ connectionString: addressOf('postgres'), schema, supervise: false, schedule: false })
  await boss.start()
  await boss.createQueue(queue)

  const prepare = async (): Promise<Run> => {
    for (let first = 0; first < events; first += 1_000) {
      const size = Math.min(1_000, events - first)
      await boss.insert(
        queue,
        Array.from({ length: size }, (_, index) => ({ data: { no: first + index } })),
      )
    }
    await client.query(`vacuum analyze ${schema}.job`)
    const { one, reached } = countdown(events)
    return {
      go: async () => {
        await boss.work(queue, options, async (jobs) => {
          for (const _job of jobs) one()
        })
        return reached
      },
      end: () => boss.offWork(queue),
    }
  }
  return {
    prepare,
    close: async () => {
      await boss.stop({ graceful: false })
      await client.query(`drop schema ${schema} cascade`)
      await client.end()
    },
  }
}
