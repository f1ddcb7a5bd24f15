import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'pg'
import { describe, expect, test } from 'vitest'
import { createPollDriver, type PollOptions } from '../../actors/poll.ts'
import type { Delivery, DriverHost, Link } from '../../machines/driver.ts'
import { type Replica, useJournals } from '../journal/journals.ts'
import { until } from '../support/until.ts'
import { randomName, silentLog } from './poll.harness.ts'

const journals = useJournals()
const total = 2_000
const credit = { events: 40, bytes: 10_000_000 }

const marking = (table: string, url: string | undefined): PollOptions => ({
  type: 'row.seen',
  mode: 'trigger',
  table,
  key: 'id',
  where: `status = 'new'`,
  take: { mark: { status: 'seen' } },
  pollMs: { min: 5, max: 20 },
  ...(url === undefined ? {} : { url: `${url}?application_name=${table}` }),
})

/** Runs a poller as a source does: settles in the journal, connects again when the link is lost. */
const run = async (replica: Replica, options: PollOptions, onEvent: (id: string) => void) => {
  const driver = createPollDriver(options, replica.intake)
  const stopped = new AbortController()
  let link: Link | undefined
  let losses = 0
  const settle = async (batch: readonly Delivery[]) => {
    for (const { event } of batch) onEvent(event.id)
    await replica.ledger.settle(batch.map(({ event, row }) => ({ as: 'done', event, ...(row && { row }) })))
    link?.settle(batch.map(({ receipt }) => ({ receipt, outcome: 'ack' })))
  }
  const host: DriverHost = {
    source: 'rows',
    credit,
    log: silentLog,
    gauge: () => {},
    count: () => {},
    deliver: (batch) => void settle(batch),
    lost: () => {
      losses++
      void keepConnected()
    },
  }
  const keepConnected = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        link = await driver.connect(host)
        return await link.consume()
      } catch {
        await sleep(20)
      }
    }
  }
  await keepConnected()
  return {
    losses: () => losses,
    stop: async () => {
      stopped.abort()
      await link?.disconnect()
    },
  }
}

describe('sessions killed every 150 ms', () => {
  test.each([
    ['the journal’s own database', false],
    ['two databases', true],
  ])('%s: each row is one event, handled, and none is left over', async (_name, apart) => {
    const { open, sql, states, url } = journals()
    const replica = await open()
    const table = randomName('rows')
    const pool = new Pool({ connectionString: url, max: 1 })
    await pool.query(`create table ${table} (id int primary key, status text not null default 'new')`)
    await pool.query(`insert into ${table} (id) select generate_series(1, ${total})`)

    const handled = new Map<string, number>()
    const note = (id: string) => void handled.set(id, (handled.get(id) ?? 0) + 1)
    const poller = await run(replica, marking(table, apart ? url : undefined), note)
    let kills = 0
    const kill = setInterval(async () => {
      const gone = await sql(
        'select pg_terminate_backend(pid) from pg_stat_activity where application_name = any($1)',
        [[`koksmat ${replica.name}`, table]],
      )
      kills += gone.length
    }, 150)

    const orphans = async () => {
      const claimed = await replica.intake.claim('journal', 100).catch(() => [])
      for (const { event } of claimed) note(event.id)
      await replica.ledger.settle(claimed.map(({ event, row }) => ({ as: 'done', event, row })))
    }
    await until(async () => {
      await orphans()
      return handled.size >= total
    }, 50_000)
    clearInterval(kill)
    await until(async () => {
      await orphans()
      return Object.keys(await states()).length === 0
    }, 20_000)
    await poller.stop()

    expect(kills).toBeGreaterThan(0)
    const keys = [...handled.keys()].map((id) => id.split('@')[0])
    expect(keys).toHaveLength(total)
    expect(new Set(keys).size).toBe(total)
    expect((await pool.query(`select from ${table} where status = 'new'`)).rowCount).toBe(0)
    await pool.query(`drop table ${table}`)
    await pool.end()
  })
})
