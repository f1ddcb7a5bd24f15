import type { ResolvedConfig } from '../config/resolved.ts'
import { migrate, printMigrations } from '../journal/migrate.ts'
import { namesOf } from '../journal/schema.ts'
import { withJournalDatabase } from './database.ts'
import type { Output } from './output.ts'

export const migrateJournal = async (config: ResolvedConfig, print: boolean, output: Output): Promise<void> => {
  const { schema } = config.journal
  if (print) {
    const sql = printMigrations(schema)
    output.result({ schema, sql }, sql)
    return
  }
  const { from, to } = await withJournalDatabase(config, (database) => migrate(database, namesOf(schema), true))
  const text = from === to ? `The journal schema ${schema} is at ${to} already.` : `${schema}: from ${from} to ${to}.`
  output.result({ schema, from, to }, text)
}
