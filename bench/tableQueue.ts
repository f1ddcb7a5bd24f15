import type pg from 'pg'
import { createTableQueueDriver } from '../actors/tableQueue.ts'
import { openBenchJournal } from './journal.ts'
import { handlerOf, walk } from './walk.ts'
import type { Run, Workload } from './workload.ts'

const events = 20_000
const page = 1_000
const queue = 'bench'

/** Rows of a table queue, against a loop that claims a page and deletes it. */
export const tableQueue: Workload = {
  name: 'tableQueue',
  events,
  goal: { perSecond: 20_000 },
  open: async () => {
    const { journal, schema, client, close } = await openBenchJournal()
    const handler = handlerOf(async () => undefined)

    const fill = async (): Promise<void> => {
      await client.query(
        `insert into ${schema}.event (queue, via, kind, ce_source, id, type, data)
         select $1, $1, 'queue.event', 'bench', gen_random_uuid(), 'bench.event', json_build_object('no', no)
         from generate_series(1, $2::integer) no`,
        [queue, events],
      )
      await client.query(`vacuum analyze ${schema}.event`)
    }

    return {
      controller: async () => {
        await fill()
        const driver = createTableQueueDriver({ queue, pollMs: { min: 500, max: 5_000 } }, journal.intake)
        return walk({ driver, handler, ledger: journal.ledger, events })
      },
      bare: async () => {
        await fill()
        return bareLoop(client, schema)
      },
      close,
    }
  },
}

const bareLoop = (client: pg.Client, schema: string): Run => ({
  go: async () => {
    for (let left = events; left > 0; ) {
      const { rows } = await client.query<{ seq: string }>(
        `update ${schema}.event set state = 'leased' where seq = any(array(
           select seq from ${schema}.event where queue = $1 and state = 'ready' and due <= now()
           order by priority desc, due, seq limit $2 for update skip locked
         )) returning *`,
        [queue, page],
      )
      if (rows.length === 0) throw new Error(`${left} rows are missing.`)
      await client.query(`delete from ${schema}.event where seq = any($1::bigint[])`, [rows.map(({ seq }) => seq)])
      left -= rows.length
    }
  },
  end: async () => undefined,
})
