import type pg from 'pg'
import { createPollDriver } from '../actors/poll.ts'
import { openBenchJournal } from './journal.ts'
import { handlerOf, walk } from './walk.ts'
import type { Run, Workload } from './workload.ts'

const events = 10_000
const page = 1_000

/** Rows of a watched table that are marked when taken, against a loop that only marks them a page at a time. */
export const poll: Workload = {
  name: 'poll',
  events,
  goal: { perSecond: 20_000 },
  open: async () => {
    const { journal, schema, client, close } = await openBenchJournal()
    const table = `${schema}.invoice`
    const handler = handlerOf(async () => undefined)
    await client.query(`create table ${table} (no bigint generated always as identity primary key, status text not null);
      create index on ${table} (no) where status = 'new'`)

    const fill = async (): Promise<void> => {
      await client.query(`truncate ${table}`)
      await client.query(`insert into ${table} (status) select 'new' from generate_series(1, $1::integer)`, [events])
      await client.query(`vacuum analyze ${table}`)
    }

    return {
      controller: async () => {
        await fill()
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
        return walk({ driver, handler, ledger: journal.ledger, events })
      },
      bare: async () => {
        await fill()
        return bareLoop(client, table)
      },
      close,
    }
  },
}

const bareLoop = (client: pg.Client, table: string): Run => ({
  go: async () => {
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
  },
  end: async () => undefined,
})
