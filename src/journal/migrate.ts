import { readdirSync, readFileSync } from 'node:fs'
import { ControllerError } from '../../machines/errors.ts'
import type { Queryable } from '../../machines/journal.ts'
import { type Names, namesOf, substitute } from './schema.ts'

/**
 * Migrations are numbered files that only go forward. What `koksmat-controller migrate --print` shows is what runs here:
 * one script that takes an advisory lock, skips what is applied already, and commits as a whole. So it may be run twice,
 * by two replicas at once, by hand with psql, or by any other tool.
 */
interface Migration {
  readonly number: number
  readonly name: string
  readonly text: string
}

const folder = new URL('./migrations/', import.meta.url)

const migrations: readonly Migration[] = readdirSync(folder)
  .filter((file) => /^\d{4}_.+\.sql$/.test(file))
  .sort()
  .map((file) => ({
    number: Number.parseInt(file, 10),
    name: file.replace('.sql', ''),
    text: readFileSync(new URL(file, folder), 'utf8'),
  }))

const newest = migrations.at(-1)?.number ?? 0

/** The SQL that brings a schema of any age up to date, for those who run it by hand. */
export const printMigrations = (schema: string): string => {
  const names = namesOf(schema)
  const steps = migrations.map((migration) => step(names, migration))
  return `begin;
select pg_advisory_xact_lock(hashtextextended('koksmat-migrate:${schema}', 0));
create schema if not exists ${names.quoted};
create table if not exists ${names.quoted}.migration (
  number     integer primary key,
  name       text not null,
  applied_at timestamptz not null default now()
);
${steps.join('\n')}
commit;
`
}

const step = (names: Names, { number, name, text }: Migration): string => `do $apply$ begin
if not exists (select from ${names.quoted}.migration where number = ${number}) then
execute $migration$
${substitute(names, text).trimEnd()}
$migration$;
insert into ${names.quoted}.migration (number, name) values (${number}, '${name}');
end if;
end $apply$;`

/**
 * Brings the schema to this version, or says why not. Gives the versions it found and left.
 *
 * @throws ControllerError JOURNAL_OUTDATED when it is older and `mayMigrate` is false, JOURNAL_TOO_NEW when it is newer
 */
export const migrate = async (db: Queryable, names: Names, mayMigrate: boolean): Promise<Migrated> => {
  const found = await versionOf(db, names)
  if (found > newest) {
    const message = `The journal schema ${names.schema} is at ${found}, this version knows ${newest}.`
    throw new ControllerError('JOURNAL_TOO_NEW', `${message} Run the version that wrote it, or a later one.`)
  }
  if (found === newest) return { from: found, to: newest }
  if (!mayMigrate) {
    const message = `The journal schema ${names.schema} is at ${found}, this version needs ${newest}.`
    throw new ControllerError('JOURNAL_OUTDATED', `${message} Run "koksmat-controller migrate".`)
  }
  await db.query(printMigrations(names.schema))
  return { from: found, to: newest }
}

export interface Migrated {
  readonly from: number
  readonly to: number
}

const versionOf = async (db: Queryable, names: Names): Promise<number> => {
  const table = `${names.quoted}.migration`
  const { rows } = await db.query<{ there: boolean }>('select to_regclass($1) is not null as there', [table])
  if (rows[0]?.there !== true) return 0
  const applied = await db.query<{ number: number }>(`select coalesce(max(number), 0) as number from ${table}`)
  return applied.rows[0]?.number ?? 0
}
