import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createPollDriver, type PollOptions } from '../../actors/poll.ts'
import type { DriverHost } from '../../machines/driver.ts'
import type { Intake } from '../../machines/journal.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { until } from '../support/until.ts'
import { killSessions, patient, pollHarness, quick, randomName, silentLog } from './poll.harness.ts'

const harness = pollHarness()
const { journal, journalUrl, other, otherUrl, schema, start, events, intake } = harness

const createTable = async (rows: number, db = journal): Promise<string> => {
  const table = randomName('jobs')
  await db.query(`create table ${table} (id int primary key, status text not null default 'new')`)
  await db.query(`insert into ${table} (id) select generate_series(1, $1::int)`, [rows])
  return table
}

const marking = (table: string, common: Partial<PollOptions> = quick): PollOptions =>
  ({
    ...quick,
    mode: 'trigger',
    table,
    key: 'id',
    where: `status = 'new'`,
    take: { mark: { status: 'seen' } },
    ...common,
  }) as PollOptions

const hostFor = (source: string): DriverHost => ({
  source,
  credit: { events: 10, bytes: 1_000_000 },
  log: silentLog,
  deliver: () => {},
  lost: () => {},
  gauge: () => {},
  count: () => {},
})

/** Counts the transactions of an intake; one of them does not begin. */
const counted = async ({ breaks }: { readonly breaks?: number } = {}) => {
  const real = await intake()
  let begun = 0
  const transaction: Intake['transaction'] = (run) => {
    if (++begun === breaks) return Promise.reject(new Error('cut by the test'))
    return real.transaction(run)
  }
  return { journal: { ...real, transaction }, transactions: () => begun }
}

/** The other database under an address by which its sessions can be told. */
const named = (address = otherUrl) => {
  const name = randomName('session')
  const url = Object.assign(new URL(address), { search: `application_name=${name}` }).href
  const sessions = async (): Promise<number> => {
    const { rows } = await journal.query<{ count: number }>(
      `select count(*)::int from pg_stat_activity where application_name = $1`,
      [name],
    )
    return rows[0]?.count ?? -1
  }
  return { url, sessions }
}

describe('when it polls', () => {
  test('full pages follow each other at once, without waiting for the interval', async () => {
    const table = await createTable(95)
    const poller = await start(marking(table, { ...patient, pageSize: 10 }))
    await poller.ids(95)
    expect(poller.batches).toHaveLength(10)
  })

  test('never more rows are taken than there is free credit, and a settlement brings the next page at once', async () => {
    const table = await createTable(12)
    const poller = await start(marking(table, patient), { credit: 5, hold: true })
    await poller.ids(5)
    expect(await events(poller.source)).toHaveLength(5)
    await poller.done(poller.deliveries.slice(0, 2))
    await poller.ids(7)
    expect(await events(poller.source)).toHaveLength(5)
    await poller.done(poller.deliveries.slice(2))
    await poller.ids(12)
  })

  test('Postgres is asked for the next page before one is handed over', async () => {
    const table = await createTable(20)
    const { journal: real, transactions } = await counted()
    let begun = 0
    const poller = await start(marking(table, { ...patient, pageSize: 10 }), {
      intake: real,
      onBatch: () => {
        begun ||= transactions()
      },
    })
    await poller.ids(20)
    // That of `verify`, of the first page, and of the second.
    expect(begun).toBe(3)
  })

  test('a row that comes while nothing happens is found within the interval', async () => {
    const table = await createTable(0)
    const poller = await start(marking(table))
    await journal.query(`insert into ${table} (id) values (1)`)
    await poller.ids(1)
  })

  test('a pause takes nothing even when NOTIFY calls, a resume goes on; both twice', async () => {
    const table = await createTable(1)
    const poller = await start(marking(table, { ...patient, notify: table, notifyUrl: journalUrl }))
    await poller.ids(1)
    poller.link.pause()
    poller.link.pause()
    await journal.query(`insert into ${table} (id) values (2)`)
    await journal.query(`notify ${table}`)
    await sleep(200)
    expect(poller.deliveries).toHaveLength(1)
    poller.link.resume()
    poller.link.resume()
    await poller.ids(2)
  })

  test('NOTIFY on the channel starts a poll at once', async () => {
    const table = await createTable(0, other)
    const poller = await start(marking(table, { ...patient, url: otherUrl, notify: 'Jobs Came' }))
    await other.query(`insert into ${table} (id) values (1)`)
    await until(async () => {
      await other.query(`select pg_notify('Jobs Came', '')`)
      return poller.deliveries.length === 1
    })
  })

  test('NOTIFY wakes for the journal’s own database too, where its address is given', async () => {
    const table = await createTable(0)
    const poller = await start(marking(table, { ...patient, notify: table, notifyUrl: journalUrl }))
    await journal.query(`insert into ${table} (id) values (1)`)
    await until(async () => {
      await journal.query(`notify ${table}`)
      return poller.deliveries.length === 1
    })
  })
})

describe('several replicas', () => {
  test('two pollers of one source never poll at the same time and give each row once', async () => {
    const table = await createTable(2_000)
    const source = randomName('source')
    let polling = 0
    let most = 0
    const watched = () =>
      intake({
        beforeCommit: async (tx) => {
          const { rowCount } = await tx.query(
            `select from ${schema}.event where via = $1 and xmin::text = pg_current_xact_id()::text limit 1`,
            [source],
          )
          if (rowCount === 0) return
          most = Math.max(most, ++polling)
          await sleep(1)
          polling--
        },
      })
    const options = marking(table, { pageSize: 50, pollMs: { min: 2, max: 4 } })
    const pollers = [
      await start(options, { source, intake: await watched() }),
      await start(options, { source, intake: await watched() }),
    ]
    const all = () => pollers.flatMap((poller) => poller.deliveries.map(({ event }) => event.id))
    await until(() => all().length >= 2_000)
    expect(new Set(all()).size).toBe(2_000)
    expect(all()).toHaveLength(2_000)
    expect(most).toBe(1)
  })
})

describe('connections', () => {
  test('a killed session is reported as lost once, and the next connection goes on', async () => {
    const table = await createTable(1, other)
    const poller = await start(marking(table, { url: otherUrl, notify: 'jobs' }))
    await poller.ids(1)
    await killSessions(otherUrl, '%')
    await until(() => poller.losses.length > 0)
    expect(poller.losses[0]?.code).toBe('SOURCE_CONNECTION_LOST')
    await poller.reconnect()
    await other.query(`insert into ${table} (id) values (2)`)
    await poller.ids(2)
    expect(poller.losses).toHaveLength(1)
  })

  test('a cut of the listening connection alone is noticed too', async () => {
    const table = await createTable(0, other)
    const poller = await start(marking(table, { ...patient, url: otherUrl, notify: table }))
    expect(await killSessions(otherUrl, `listen%${table}%`)).toBe(1)
    await until(() => poller.losses.length === 1)
  })

  test('a page whose commit was not answered is delivered by the next connection, once', async () => {
    const table = await createTable(3)
    let broke = false
    const broken = await intake({
      afterCommit: () => {
        if (broke) return
        if (++commits < 2) return
        broke = true
        throw new Error('no answer')
      },
    })
    let commits = 0
    const poller = await start(marking(table), { intake: broken })
    await until(() => poller.losses.length === 1)
    expect(poller.deliveries).toEqual([])
    expect(await events(poller.source)).toHaveLength(3)
    await poller.reconnect()
    await poller.ids(3)
    await until(async () => (await events(poller.source)).length === 0)
    expect(poller.deliveries).toHaveLength(3)
  })

  test('a page that waits to be handed over when the connection breaks is delivered by the next one, once', async () => {
    const table = await createTable(20)
    const { journal: breaking } = await counted({ breaks: 3 })
    const poller = await start(marking(table, { ...patient, pageSize: 10 }), { intake: breaking, hold: true })
    await until(() => poller.losses.length === 1)
    expect(poller.deliveries).toEqual([])
    expect(await events(poller.source)).toHaveLength(10)
    await poller.reconnect()
    await poller.ids(20)
    expect(new Set(poller.deliveries.map(({ event }) => event.id)).size).toBe(20)
    expect(await events(poller.source)).toHaveLength(20)
  })

  test('after cancel nothing is delivered any more, and settle is still legal', async () => {
    const table = await createTable(1)
    const poller = await start(marking(table), { hold: true })
    await poller.ids(1)
    await poller.link.cancel()
    await journal.query(`insert into ${table} (id) values (2)`)
    await poller.done(poller.deliveries)
    await sleep(200)
    expect(poller.deliveries).toHaveLength(1)
    await poller.link.cancel()
  })

  test('disconnect leaves no session and no timer, without cancel and also twice', async () => {
    const table = await createTable(0, other)
    const { url, sessions } = named()
    const poller = await start(marking(table, { url, notify: 'jobs' }))
    expect(await sessions()).toBe(2)
    await poller.link.disconnect()
    await poller.link.disconnect()
    await until(async () => (await sessions()) === 0)
  })

  test('a server that does not answer does not hold up disconnect', async () => {
    const table = await createTable(0, other)
    const proxy = await tcpProxy({ port: Number(new URL(otherUrl).port) })
    const url = Object.assign(new URL(otherUrl), { port: String(proxy.port) }).href
    const poller = await start(marking(table, { url, notify: 'jobs' }))
    proxy.blackHole()
    const startedAt = performance.now()
    await poller.link.disconnect()
    expect(performance.now() - startedAt).toBeLessThan(3_000)
    await proxy.close()
  })

  const refusals: [string, Partial<PollOptions> & Record<string, unknown>, string, string][] = [
    ['a table that is not there', { table: 'nowhere' }, 'SOURCE_NOT_FOUND', 'no table "nowhere"'],
    ['a key column that is not there', { key: 'number' }, 'SOURCE_NOT_FOUND', 'no column "number"'],
    ['a column that is not there', { columns: ['id', 'no'] }, 'SOURCE_NOT_FOUND', 'no column "no"'],
    ['a marked column that is not there', { take: { mark: { done: true } } }, 'SOURCE_NOT_FOUND', 'no column "done"'],
    ['a version that is not there', { take: { track: { version: 'v' } } }, 'SOURCE_NOT_FOUND', 'no column "v"'],
    ['a condition on what is not there', { where: 'done' }, 'SOURCE_NOT_FOUND', '"done" does not exist'],
    ['a condition that is not SQL', { where: 'id =' }, 'SOURCE_UNUSABLE', 'syntax error'],
    ['a mark of another type', { take: { mark: { id: 'x' } } }, 'SOURCE_UNUSABLE', 'invalid input syntax'],
    ['an address where nobody is', { url: 'postgres://127.0.0.1:1/x' }, 'SOURCE_CONNECT_FAILED', 'ECONNREFUSED'],
  ]
  test.each(refusals)('connecting says what is wrong: %s', async (_what, wrong, code, message) => {
    const table = await createTable(0)
    const driver = createPollDriver(marking(table, wrong as Partial<PollOptions>), await intake())
    const connecting = driver.connect(hostFor(randomName('source')))
    await expect(connecting).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
  })

  test('connecting says that a view cannot be marked, and takes it with track', async () => {
    const table = await createTable(1)
    await journal.query(`create view ${table}_view as select * from ${table}`)
    await expect(start(marking(`${table}_view`))).rejects.toMatchObject({ code: 'SOURCE_UNUSABLE' })
    const track = { take: { track: { version: 'status' } } } as Partial<PollOptions>
    const poller = await start(marking(`${table}_view`, track))
    await poller.ids(1)
  })

  test('track asks for no more than the right to read', async () => {
    const table = await createTable(1, other)
    const role = randomName('reader')
    await other.query(`create role ${role} login password 'x'; grant select on ${table} to ${role}`)
    const url = Object.assign(new URL(otherUrl), { username: role, password: 'x' }).href
    const poller = await start(marking(table, { url, take: { track: { version: 'status' } } } as Partial<PollOptions>))
    await poller.ids(1)
    await expect(start(marking(table, { url }))).rejects.toMatchObject({ code: 'SOURCE_UNUSABLE' })
    await poller.link.disconnect()
    await other.query(`drop owned by ${role}; drop role ${role}`)
  })
})
