import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { addressOf } from '../support/servers.ts'
import type { OpenSide, Run } from '../workload.ts'
import { countdown } from './counter.ts'
import { loadPeer } from './install.ts'

interface GraphileWorker {
  readonly WorkerPreset: object
  readonly Logger: new (factory: () => () => void) => object
  run(options: object): Promise<{ stop(): Promise<void> }>
  runMigrations(options: object): Promise<void>
}

/** Set up for throughput as its documentation advises: a local queue, and completions in batches. */
export const graphileWorker: OpenSide = async (events) => {
  const { run, runMigrations, Logger, WorkerPreset } = await loadPeer<GraphileWorker>('graphile-worker')
  const schema = `bench_gw_${randomUUID().slice(0, 8)}`
  const client = new pg.Client({ connectionString: addressOf('postgres') })
  await client.connect()
  const preset = {
    extends: [WorkerPreset],
    worker: {
      connectionString: addressOf('postgres'),
      schema,
      concurrentJobs: 16,
      maxPoolSize: 10,
      pollInterval: 500,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  }
  const options = { preset, noHandleSignals: true, logger: new Logger(() => () => undefined) }
  await runMigrations(options)

  const prepare = async (): Promise<Run> => {
    await client.query(
      `select ${schema}.add_jobs((
        select array_agg(json_populate_record(null::${schema}.job_spec,
          json_build_object('identifier', 'bench', 'payload', json_build_object('no', no))))
        from generate_series(1, $1::integer) no))`,
      [events],
    )
    await client.query(`vacuum analyze ${schema}._private_jobs`)
    const { one, reached } = countdown(events)
    let runner: { stop(): Promise<void> } | undefined
    return {
      go: async () => {
        runner = await run({ ...options, taskList: { bench: async () => one() } })
        return reached
      },
      end: async () => runner?.stop(),
    }
  }
  return {
    prepare,
    close: async () => {
      await client.query(`drop schema ${schema} cascade`)
      await client.end()
    },
  }
}
