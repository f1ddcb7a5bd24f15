import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { createJournal, type Journal } from '../../src/journal/journal.ts'
import { createLog } from '../../src/log.ts'
import { addressOf } from './servers.ts'

/** One open journal in a schema of its own, and a connection beside it. */
export interface BenchJournal {
  readonly journal: Journal
  readonly schema: string
  readonly client: pg.Client
  close(): Promise<void>
}

export const openBenchJournal = async (): Promise<BenchJournal> => {
  const url = addressOf('postgres')
  const schema = `bench_${randomUUID().slice(0, 8)}`
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const journal = createJournal({ ...closedJournal, url, schema })
  await journal.open()
  return {
    journal,
    schema,
    client,
    close: async () => {
      await journal.close()
      await client.query(`drop schema ${schema} cascade`)
      await client.end()
    },
  }
}

const closedJournal = {
  migrate: true,
  version: 'bench',
  replicaName: 'bench',
  log: createLog({ level: 'silent', format: 'json' }),
  onHealth: () => undefined,
}

/** Never opened: the happy path of a broker event with a plain handler does not touch it. */
export const unusedJournal = (): Journal =>
  createJournal({ ...closedJournal, url: 'postgres://127.0.0.1:1/none', schema: 'none' })
