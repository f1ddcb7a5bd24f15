import type pg from 'pg'
import { createFakeDriver } from './fakeDriver.ts'
import { openBenchJournal } from './journal.ts'
import { handlerOf, walk } from './walk.ts'
import type { Run, Workload } from './workload.ts'

const events = 10_000
const groupSize = 100
const lock = 'bench'

/** One lock, one insert an event, dedup marks: the controller against the same groups written by hand. */
export const atomic: Workload = {
  name: 'atomic',
  events,
  goal: { ofBare: 0.7 },
  open: async () => {
    const { journal, schema, client, close } = await openBenchJournal()
    const insert = `insert into ${schema}.ledger (no) values ($1)`
    await client.query(`create table ${schema}.ledger (no integer not null)`)
    const empty = async (): Promise<void> => {
      await client.query(`truncate ${schema}.ledger, ${schema}.seen`)
    }
    const handler = handlerOf(
      async ({ data }, { tx }) => {
        await tx.query(insert, [(data as { no: number }).no])
      },
      { lock },
    )
    return {
      controller: async () => {
        await empty()
        return walk({ driver: createFakeDriver(events, 100), handler, ledger: journal.ledger, events })
      },
      bare: async () => {
        await empty()
        return handWritten(client, schema, insert)
      },
      close,
    }
  },
}

const handWritten = (client: pg.Client, schema: string, insert: string): Run => ({
  go: async () => {
    for (let first = 1; first <= events; first += groupSize) {
      const numbers = Array.from({ length: groupSize }, (_, index) => first + index)
      await client.query(`begin; select pg_advisory_xact_lock(hashtextextended('${lock}', 0))`)
      await client.query(
        `insert into ${schema}.seen (ce_source, id, until)
         select 'bench', id, now() + interval '7 days' from unnest($1::text[]) id on conflict do nothing`,
        [numbers.map(String)],
      )
      for (const no of numbers) await client.query(insert, [no])
      await client.query('commit')
    }
  },
  end: async () => undefined,
})
