import pg from 'pg'
import { expect, test } from 'vitest'
import { ControllerError } from '../../machines/errors.ts'
import type { Ending } from '../../machines/journal.ts'
import { startPostgresServer } from '../support/postgresServer.ts'
import { until } from '../support/until.ts'
import { attemptOf, eventOf, type Replica, useJournals } from './journals.ts'
import { proxied } from './proxied.ts'

const journals = useJournals()

test('sessions killed every 100 ms while events are accepted, claimed, emitted and settled lose nothing and double nothing', async () => {
  const { open, sql, states } = journals()
  const replica = await open()
  const total = 3_000
  await sql(
    `select S.enqueue('orders', 'order.created', to_json(n), id => 'o' || n) from generate_series(1, ${total}) n`,
  )
  let kills = 0
  const kill = setInterval(async () => {
    const killed = await sql('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
      `koksmat ${replica.name}`,
    ])
    kills += killed.length
  }, 100)

  const accepting = acceptMany(replica, 300)
  const handled = new Map<string, number>()
  while (handled.size < total * 2) {
    const pages = await Promise.all(['orders', 'journal'].map((queue) => claimed(replica, queue)))
    const endings = pages.flat().map(({ event, row }): Ending => {
      handled.set(event.id, (handled.get(event.id) ?? 0) + 1)
      if (event.id.startsWith('e')) return { as: 'done', event, row, counters: { emitted: 1 }, keepMs: 60_000 }
      const emits = [{ event: eventOf(`e${event.id}`) }]
      return { as: 'done', event, row, emits, emitDelaysMs: [0], counters: { orders: 1 } }
    })
    await replica.ledger.settle(endings)
  }
  clearInterval(kill)
  expect(kills).toBeGreaterThan(5)
  expect(handled.size).toBe(total * 2)
  // The last kill may still be under way.
  expect(await until(() => replica.counters())).toEqual({ orders: `${total}`, emitted: `${total}` })
  expect(await accepting).toBe(300)
  await until(async () => (await states())['leased'] === 300)
  expect(await states()).toEqual({ leased: 300 })
}, 60_000)

const claimed = async (replica: Replica, queue: string) => {
  try {
    return await replica.intake.claim(queue, 100)
  } catch {
    return []
  }
}

/** Accepts events one after the other, as a sender does that sends again what was not taken. */
const acceptMany = async (replica: Replica, count: number): Promise<number> => {
  let accepted = 0
  for (let n = 0; n < count; n++) {
    const { status } = await replica.intake.accept({ event: eventOf(`w${n}`) }, 10_000)
    if (status === 'accepted') accepted++
  }
  return accepted
}

test('retries and parkings survive killed sessions with their attempts counted once', async () => {
  const { open, sql } = journals()
  const replica = await open()
  const kill = setInterval(() => {
    sql('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
      `koksmat ${replica.name}`,
    ])
  }, 50)
  for (let round = 0; round < 40; round++) {
    const endings = Array.from({ length: 20 }, (_, n): Ending => {
      const as = n % 2 === 0 ? 'retry' : 'park'
      const event = eventOf(`${round}-${n}`)
      return { as, event, queue: 'journal', attempts: 1, history: [attemptOf(1)], dueInMs: 60_000 }
    })
    await replica.ledger.settle(endings)
  }
  clearInterval(kill)
  expect(
    await sql(
      'select state, count(*)::integer as count, max(jsonb_array_length(history)) as most from S.event group by 1 order by 1',
    ),
  ).toEqual([
    { state: 'parked', count: 400, most: 1 },
    { state: 'ready', count: 400, most: 1 },
  ])
}, 60_000)

test('health tells once that Postgres is gone and once that it is back, also when nobody asks anything', async () => {
  const { open, url } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  proxy.refuse()
  proxy.reset()
  await until(() => replica.healths.length > 0)
  proxy.heal()
  await until(() => replica.healths.length > 1)
  expect(replica.healths).toMatchObject([{ up: false, error: { code: 'JOURNAL_UNAVAILABLE' } }, { up: true }])
  await replica.close()
  await proxy.close()
})

test('how a run under a lock ends while Postgres does not answer is the outage, whatever its handler throws', async () => {
  const { open, url } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  const { signal } = new AbortController()
  const ended = replica.ledger.underLock('a', { waitMs: 5_000, signal }, async () => {
    proxy.blackHole()
    replica.counters().catch(() => undefined)
    await until(() => replica.healths.length > 0, 30_000)
    throw new ControllerError('HANDLER_TIMED_OUT', 'it took too long')
  })
  await expect(ended).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE', cause: { message: 'it took too long' } })
  proxy.heal()
  await until(() => replica.healths.length > 1)
  const failed = replica.ledger.underLock('a', { waitMs: 5_000, signal }, () => Promise.reject(new Error('of its own')))
  await expect(failed).rejects.toThrow('of its own')
  await replica.close()
  await proxy.close()
})

test('a settlement whose confirmation was lost takes effect once', async () => {
  const { open, url, sql } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  await replica.ledger.settle([{ as: 'done', event: eventOf('warm'), counters: { n: 0 } }])
  proxy.delay(100)
  const effects = { counters: { n: 1 }, emits: [{ event: eventOf('emitted') }], emitDelaysMs: [0] }
  const settled = replica.ledger.settle([{ as: 'done', event: eventOf('1'), ...effects }])
  await until(async () => (await sql('select from S.event')).length === 1)
  // Committed, and the confirmation is on its way. Somebody else handles what was emitted; cut the line.
  await sql('delete from S.event')
  proxy.reset()
  proxy.delay(0)
  await settled
  expect(await replica.counters()).toEqual({ n: '1' })
  expect(await sql('select from S.event')).toEqual([])
  await replica.close()
  await proxy.close()
})

test('a transaction of unknown outcome is not taken for the one that got its number after a crash of Postgres', async () => {
  const server = await startPostgresServer()
  const { proxy, ...line } = await proxied(server.url)
  try {
    const replica = await journals().open({ ...line, heartbeatMs: 60_000, leaseMs: 300_000 })
    const { promise: number, resolve } = Promise.withResolvers<string>()
    const { signal } = new AbortController()
    const running = replica.ledger.underLock('a', { waitMs: 5_000, signal }, async (tx) => {
      const { rows } = await tx.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
      // The commit does not arrive.
      proxy.blackHole()
      resolve(rows[0]?.xid ?? '')
    })
    running.catch(() => undefined)
    const lost = await number
    await server.kill()
    await server.restart()
    const other = new pg.Client({ connectionString: server.url })
    await other.connect()
    const next = async () => BigInt((await other.query('select pg_current_xact_id()::text as xid')).rows[0].xid)
    while ((await next()) < BigInt(lost));
    const { rows } = await other.query('select pg_xact_status($1::text::xid8) as status', [lost])
    await other.end()
    expect(rows).toEqual([{ status: 'committed' }])
    proxy.heal()
    await expect(running).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' })
    await replica.close()
  } finally {
    await proxy.close()
    await server.stop()
  }
})
