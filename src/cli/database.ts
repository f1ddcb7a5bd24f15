import { Client } from 'pg'
import { ControllerError } from '../../machines/errors.ts'
import type { Queryable } from '../../machines/journal.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import { embeddedFolder } from '../embedded/folder.ts'
import { findEmbeddedPostgres } from '../embedded/postgres.ts'

/** One connection to the journal's database for the length of `run`; the embedded PostgreSQL has to be running. */
export const withJournalDatabase = async <Result>(
  { journal }: Pick<ResolvedConfig, 'journal'>,
  run: (database: Queryable) => Promise<Result>,
): Promise<Result> => {
  const url = journal.url ?? findEmbeddedPostgres(embeddedFolder(process.cwd()))
  if (url === undefined) {
    const message = 'The embedded PostgreSQL of this folder does not run; start the controller, or set DATABASE_URL.'
    throw new ControllerError('NOT_RUNNING', message)
  }
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  // A connection that breaks later fails the query that is under way.
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ControllerError('JOURNAL_UNAVAILABLE', `The journal's database cannot be reached: ${reason}.`, { cause })
  }
  try {
    return await run({
      query: <Row extends object>(text: string, values?: readonly unknown[]) =>
        client.query<Row & Record<string, unknown>>(text, values === undefined ? undefined : [...values]),
    })
  } finally {
    await client.end()
  }
}
