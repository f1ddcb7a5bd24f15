import type pg from 'pg'
import { createTableQueueDriver } from '../../actors/tableQueue.ts'
import { graphileWorker } from '../peers/graphileWorker.ts'
import { pgBoss } from '../peers/pgBoss.ts'
import { openArrivals } from '../support/arrivals.ts'
import { atHalfLoad, closing } from '../support/halfLoad.ts'
import { openBenchJournal } from '../support/journal.ts'
import { handlerOf, walk } from '../support/walk.ts'
import type { OpenSide, Run, Workload } from '../workload.ts'

const page = 1_000
export const queue = 'bench'
export const pollMs = { min: 500, max: 5_000 }

export const fill = async (client: pg.Client, schema: string, events: number): Promise<void> => {
  await client.query(
    `insert into ${schema}.event (queue, via, kind, ce_source, id, type, data)
     select $1, $1, 'queue.event', 'bench', gen_random_uuid(), 'bench.event', json_build_object('no', no)
     from generate_series(1, $2::integer) no`,
    [queue, events],
  )
  await client.query(`vacuum analyze ${schema}.event`)
}

const controller: OpenSide = async (events) => {
  const { journal, schema, client, close } = await openBenchJournal()
  const handlers = [handlerOf(async () => undefined)]
  return {
    prepare: async () => {
      await fill(client, schema, events)
      const driver = createTableQueueDriver({ queue, pollMs }, journal.intake)
      return walk({ driver, handlers, ledger: journal.ledger, events })
    },
    close,
  }
}

const bare: OpenSide = async (events) => {
  const { schema, client, close } = await openBenchJournal()
  const prepare = async (): Promise<Run> => {
    await fill(client, schema, events)
    return { go: () => claimAndDelete(client, schema, events), end: async () => undefined }
  }
  return { prepare, close }
}

const claimAndDelete = async (client: pg.Client, schema: string, events: number): Promise<undefined> => {
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
}

export const tableQueue: Workload = {
  name: 'tableQueue',
  about: 'rows of a table queue, against a loop that claims a page and deletes it',
  events: 50_000,
  servers: ['postgres'],
  goals: [{ perSecond: 20_000 }, { share: 0.5 }, { aheadOf: 'graphile-worker' }],
  sides: { controller, bare },
  peers: { 'graphile-worker': graphileWorker, 'pg-boss': pgBoss },
}

export const tableQueueHalf: Workload = {
  name: 'tableQueueHalf',
  about: 'a table queue at half load: from the moment an event is enqueued to its settlement',
  events: 20_000,
  servers: ['postgres'],
  goals: [],
  sides: {
    controller: atHalfLoad(async () => {
      const own = await openBenchJournal()
      const arrivals = await openArrivals('tableQueue', own.schema)
      const { ledger, intake } = own.journal
      return {
        ledger,
        driver: () => createTableQueueDriver({ queue, pollMs }, intake),
        send: arrivals.send,
        close: closing(own, arrivals),
      }
    }),
  },
}
