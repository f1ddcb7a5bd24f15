import type pg from 'pg'
import { createPollDriver } from '../../actors/poll.ts'
import { graphileWorker } from '../peers/graphileWorker.ts'
import { pgBoss } from '../peers/pgBoss.ts'
import { openBenchJournal } from '../support/journal.ts'
import { credit, handlerOf, walk } from '../support/walk.ts'
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
      return walk({ driver, handlers, ledger: journal.ledger, events, credit: { ...credit, events: 2 * page } })
    },
    close,
  }
}

/** What is done with the rows of a page is done by hand, one page after the other. */
const byHand =
  (handle: (client: pg.Client, schema: string) => Promise<number>): OpenSide =>
  async (events) => {
    const { schema, client, close } = await openBenchJournal()
    const fill = await watchedTable(client, `${schema}.invoice`)
    const go = async (): Promise<undefined> => {
      for (let left = events; left > 0; ) {
        const handled = await handle(client, schema)
        if (handled === 0) throw new Error(`${left} rows are missing.`)
        left -= handled
      }
    }
    const prepare = async (): Promise<Run> => {
      await fill(events)
      return { go, end: async () => undefined }
    }
    return { prepare, close }
  }

const markPage = (schema: string): string =>
  `update ${schema}.invoice set status = 'seen' where no = any(array(
     select no from ${schema}.invoice where status = 'new' order by no limit ${page} for update skip locked
   )) returning *`

/** The same durable steps: marked and written to the journal in one statement, and deleted there when handled. */
const bare = byHand(async (client, schema) => {
  const { rows } = await client.query<{ seq: string }>(
    `with marked as (${markPage(schema)})
     insert into ${schema}.event (queue, kind, state, via, ce_source, id, type, data)
     select 'bench', 'database.trigger', 'leased', 'bench', 'bench', no || '/' || gen_random_uuid(), 'invoice.created',
       row_to_json(marked)
     from marked returning seq::text, id, type, data::text`,
  )
  await client.query(`delete from ${schema}.event where seq = any($1::bigint[])`, [rows.map(({ seq }) => seq)])
  return rows.length
})

const marksOnly = byHand(async (client, schema) => (await client.query(markPage(schema))).rows.length)

export const poll: Workload = {
  name: 'poll',
  about:
    'rows of a watched table, marked and journaled when taken, against a loop that does the same by hand, and one that only marks',
  events: 50_000,
  servers: ['postgres'],
  goals: [{ perSecond: 20_000 }, { share: 0.5 }, { aheadOf: 'graphile-worker' }],
  sides: { controller, bare, 'marks only': marksOnly },
  // Their jobs are there already: what a trigger of the table would cost them is not counted.
  peers: { 'graphile-worker': graphileWorker, 'pg-boss': pgBoss },
}
