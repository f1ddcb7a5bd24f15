import type pg from 'pg'
import { createPollDriver } from '../../actors/poll.ts'
import { graphileWorker } from '../peers/graphileWorker.ts'
import { pgBoss } from '../peers/pgBoss.ts'
import { openBenchJournal } from '../support/journal.ts'
import { handlerOf, walk } from '../support/walk.ts'
import type { OpenSide, Run, Workload } from '../workload.ts'

const page = 1_000

/** A table to watch; gives what fills it anew. */
const watchedTable = async (client: pg.Client, table: string): Promise<(events: number) => Promise<void>> => {
  await client.query(`create table ${table} (no bigint generated always as identity primary key, status text not null);
    create index on ${table} (no) where status = 'new'`)
  return async (events) => {
    await client.query(`truncate ${table}`)
    await client.query(`insert into ${table} (status) select 'new' from generate_series(1, $1::integer)`, [events])
    await client.query(`vacuum analyze ${table}`)
  }
}

const controller: OpenSide = async (events) => {
  const { journal, schema, client, close } = await openBenchJournal()
  const table = `${schema}.invoice`
  const fill = await watchedTable(client, table)
  const handlers = [handlerOf(async () => undefined)]
  return {
    prepare: async () => {
      await fill(events)
      const driver = createPollDriver(
        {
          mode: 'trigger',
          table,
          key: 'no',
          where: `status = 'new'`,
          take: { mark: { status: 'seen' } },
          type: 'invoice.created',
          pollMs: { min: 2_000, max: 30_000 },
        },
        journal.intake,
      )
      return walk({ driver, handlers, ledger: journal.ledger, events })
    },
    close,
  }
}

const bare: OpenSide = async (events) => {
  const { schema, client, close } = await openBenchJournal()
  const table = `${schema}.invoice`
  const fill = await watchedTable(client, table)
  const prepare = async (): Promise<Run> => {
    await fill(events)
    return { go: () => markAll(client, table, events), end: async () => undefined }
  }
  return { prepare, close }
}

const markAll = async (client: pg.Client, table: string, events: number): Promise<undefined> => {
  for (let left = events; left > 0; ) {
    const { rows } = await client.query(
      `update ${table} set status = 'seen' where no = any(array(
         select no from ${table} where status = 'new' order by no limit $1 for update skip locked
       )) returning *`,
      [page],
    )
    if (rows.length === 0) throw new Error(`${left} rows are missing.`)
    left -= rows.length
  }
}

export const poll: Workload = {
  name: 'poll',
  about: 'rows of a watched table, marked when taken, against a loop that marks a page and journals nothing',
  events: 20_000,
  servers: ['postgres'],
  goals: [{ perSecond: 20_000 }, { share: 0.5 }, { aheadOf: 'graphile-worker' }],
  sides: { controller, bare },
  // Their jobs are there already: what a trigger of the table would cost them is not counted.
  peers: { 'graphile-worker': graphileWorker, 'pg-boss': pgBoss },
}
