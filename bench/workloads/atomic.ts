import type pg from 'pg'
import { createFakeDriver } from '../support/fakeDriver.ts'
import { type BenchJournal, openBenchJournal } from '../support/journal.ts'
import { addressOf } from '../support/servers.ts'
import { handlerOf, walk } from '../support/walk.ts'
import type { OpenSide, Run, Workload } from '../workload.ts'

const groupSize = 100

const withLedger = async (): Promise<BenchJournal & { insert: string; empty(): Promise<void> }> => {
  const opened = await openBenchJournal()
  const { schema, client } = opened
  await client.query(`create table ${schema}.ledger (no integer not null)`)
  return {
    ...opened,
    insert: `insert into ${schema}.ledger (no) values ($1)`,
    empty: async () => void (await client.query(`truncate ${schema}.ledger, ${schema}.seen`)),
  }
}

const controllerOf =
  (locks: number): OpenSide =>
  async (events) => {
    const { journal, close, insert, empty } = await withLedger()
    const handlers = Array.from({ length: locks }, (_, index) =>
      handlerOf(async ({ data }, { tx }) => void (await tx.query(insert, [numberOf(data)])), {
        type: locks === 1 ? '*' : `bench.${index}`,
        lock: `bench-${index}`,
      }),
    )
    const more = locks === 1 ? () => ({}) : (no: number) => ({ type: `bench.${no % locks}` })
    return {
      prepare: async () => {
        await empty()
        return walk({ driver: createFakeDriver({ events, more }), handlers, ledger: journal.ledger, events })
      },
      close,
    }
  }

const numberOf = (data: unknown): number =>
  typeof data === 'object' && data !== null && 'no' in data ? Number(data.no) : 0

const bareOf =
  (locks: number): OpenSide =>
  async (events) => {
    const { schema, client, close, insert, empty } = await withLedger()
    const { Client } = await import('pg').then(({ default: exported }) => exported)
    const others: pg.Client[] = []
    for (let index = 1; index < locks; index++) {
      const other = new Client({ connectionString: addressOf('postgres') })
      await other.connect()
      others.push(other)
    }
    const clients = [client, ...others]
    const prepare = async (): Promise<Run> => {
      await empty()
      const shareOf = (lock: number): number[] =>
        Array.from({ length: Math.ceil((events - lock) / locks) }, (_, index) => 1 + lock + index * locks)
      const go = async (): Promise<undefined> => {
        await Promise.all(
          clients.map((each, lock) => groupByHand(each, { schema, insert, lock, numbers: shareOf(lock) })),
        )
      }
      return { go, end: async () => undefined }
    }
    return {
      prepare,
      close: async () => {
        await Promise.all(others.map((other) => other.end()))
        await close()
      },
    }
  }

interface Share {
  readonly schema: string
  readonly insert: string
  readonly lock: number
  readonly numbers: readonly number[]
}

const groupByHand = async (client: pg.Client, { schema, insert, lock, numbers }: Share): Promise<void> => {
  for (let first = 0; first < numbers.length; first += groupSize) {
    const group = numbers.slice(first, first + groupSize)
    await client.query(`begin; select pg_advisory_xact_lock(hashtextextended('bench-${lock}', 0))`)
    await client.query(
      `insert into ${schema}.seen (ce_source, id, until)
       select 'bench', id, now() + interval '7 days' from unnest($1::text[]) id on conflict do nothing`,
      [group.map(String)],
    )
    for (const no of group) await client.query(insert, [no])
    await client.query('commit')
  }
}

export const atomic: Workload = {
  name: 'atomic',
  about: 'one lock, one insert an event, dedup marks, against the same groups of a hundred written by hand',
  events: 10_000,
  servers: ['postgres'],
  goals: [{ share: 0.7 }, { share: 0.8 }],
  sides: { controller: controllerOf(1), bare: bareOf(1) },
}

export const atomicOnFourLocks: Workload = {
  ...atomic,
  name: 'atomic4',
  about: 'the same on four locks, against four connections written by hand, and the controller on one lock',
  goals: [{ aheadOf: 'one lock' }],
  sides: { controller: controllerOf(4), bare: bareOf(4), 'one lock': controllerOf(1) },
}
