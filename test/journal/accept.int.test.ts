import { Client } from 'pg'
import { expect, test } from 'vitest'
import { acceptValues } from '../../src/journal/insert.ts'
import { until } from '../support/until.ts'
import { acceptAll, attemptOf, eventOf, idsOf, useJournals } from './journals.ts'
import { proxied } from './proxied.ts'

const journals = useJournals()

test('an accepted webhook is durable and leased to its replica', async () => {
  const { open, sql } = journals()
  const replica = await open()
  const acceptance = await replica.intake.accept({ event: eventOf('1'), json: '{"no":   1.10}' }, 5_000)
  expect(acceptance).toEqual({
    status: 'accepted',
    row: { seq: expect.any(String), lease: expect.any(String), attempts: 0 },
  })
  expect(await sql('select state, lease_by, data::text, id from S.event')).toEqual([
    { state: 'leased', lease_by: replica.intake.replica(), data: '{"no":   1.10}', id: '1' },
  ])
})

test('many at once share a few commits', async () => {
  const { open, sql } = journals()
  const replica = await open()
  await acceptAll(replica, [eventOf('first')])
  const events = Array.from({ length: 300 }, (_, index) => eventOf(`${index}`))
  expect(await acceptAll(replica, events)).toHaveLength(300)
  const [row] = await sql<{ commits: number }>('select count(distinct xmin::text)::integer as commits from S.event')
  expect(row?.commits).toBeLessThan(10)
})

test('a repeat of a live event is a duplicate: in the same group, later, and from another replica', async () => {
  const { open, states } = journals()
  const [one, two] = await Promise.all([open(), open()])
  expect(await acceptAll(one, [eventOf('1'), eventOf('1'), eventOf('1')])).toHaveLength(1)
  expect(await one.intake.accept({ event: eventOf('1') }, 5_000)).toEqual({ status: 'duplicate' })
  expect(await two.intake.accept({ event: eventOf('1') }, 5_000)).toEqual({ status: 'duplicate' })
  expect(await states()).toEqual({ leased: 1 })
})

test('the same id from another sender is another event', async () => {
  const replica = await journals().open()
  const events = [eventOf('1'), eventOf('1', { source: 'https://other.example' })]
  expect(await acceptAll(replica, events)).toHaveLength(2)
})

test('a repeat of an event that succeeded is a duplicate within the window, and a new event after it', async () => {
  const { open, sql, states } = journals()
  const replica = await open()
  const [first] = await acceptAll(replica, [eventOf('1')])
  if (first === undefined) throw new Error('not accepted')
  await replica.ledger.settle([{ as: 'done', event: first.event, row: first.row, keepMs: 60_000 }])
  expect(await replica.intake.accept({ event: eventOf('1') }, 5_000)).toEqual({ status: 'duplicate' })
  expect(await states()).toEqual({})
  await sql(`update S.seen set until = now() - interval '1 s'`)
  expect(await replica.intake.accept({ event: eventOf('1') }, 5_000)).toMatchObject({ status: 'accepted' })
})

/** Accepts events for a replica, as another process does; gives the numbers of the accepted, or null for all. */
const acceptBySql = async (
  client: Client,
  schema: string,
  ids: readonly string[],
  replica = 1,
): Promise<string[] | null> => {
  const numbers = ids.map((id) => replica * 1_000_000 + Number(id))
  const arrivals = ids.map((id) => ({ event: eventOf(id) }))
  const values = [...acceptValues(arrivals, false), numbers, replica]
  const text = `select ${schema}.accept(${values.map((_, index) => `$${index + 1}`).join(', ')})`
  return (await client.query<{ accept: string[] | null }>(text, values)).rows[0]?.accept ?? null
}

test('however many marks there are, an accepted event looks at its own: also where the session planned before there were any', async () => {
  const { open, schema, url } = journals()
  await open()
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const ids = (round: number) => Array.from({ length: 200 }, (_, index) => `${round * 200 + index}`)
    await client.query(`insert into ${schema}.seen values ('s', 'one', now()); analyze ${schema}.seen`)
    for (let round = 0; round < 10; round++) await acceptBySql(client, schema, ids(round))
    const marks = `insert into ${schema}.seen select 's', n::text, now() + interval '1 day' from generate_series(1, 20000) n`
    await client.query(marks)
    const counted = `select seq_tup_read::int as read, idx_tup_fetch::int as fetched from pg_stat_xact_user_tables
      where schemaname = $1 and relname = 'seen'`
    await client.query('begin')
    const before = await client.query(counted, [schema])
    await acceptBySql(client, schema, ids(10))
    const after = await client.query(counted, [schema])
    expect(after.rows).toEqual(before.rows)
  } finally {
    await client.end()
  }
})

test('the same id from another sender is accepted beside the mark of the first', async () => {
  const replica = await journals().open()
  const first = await acceptAll(replica, [eventOf('1')])
  await replica.ledger.settle(first.map(({ event, row }) => ({ as: 'done', event, row, keepMs: 60_000 })))
  const beside = await acceptAll(replica, [eventOf('1'), eventOf('1', { source: 'https://other.example' })])
  expect(beside.map(({ event }) => event.source)).toEqual(['https://other.example'])
})

test('two that accept the same events in another order wait for each other, and never both', async () => {
  const { open, schema, url, sql } = journals()
  await open()
  const [one, two] = [new Client({ connectionString: url }), new Client({ connectionString: url })]
  await Promise.all([one.connect(), two.connect()])
  try {
    const [{ pid } = { pid: 0 }] = (await two.query<{ pid: number }>('select pg_backend_pid() as pid')).rows
    await one.query('begin')
    expect(await acceptBySql(one, schema, ['1'])).toBeNull()
    const both = acceptBySql(two, schema, ['2', '1'], 2)
    await until(async () => (await sql('select from pg_locks where pid = $1 and not granted', [pid])).length > 0)
    expect(await acceptBySql(one, schema, ['2'])).toBeNull()
    await one.query('commit')
    expect(await both).toEqual([])
  } finally {
    await Promise.all([one.end(), two.end()])
  }
})

test('a repeat that arrives while the first is being settled is a duplicate', async () => {
  const { open, sql, schema, waiting } = journals()
  const replica = await open()
  await acceptAll(replica, [eventOf('1')])
  // A settlement whose commit is under way.
  const other = await open()
  const settled = other.intake.transaction(async (tx) => {
    await tx.query(`delete from ${schema}.event`)
    await tx.query(`insert into ${schema}.seen select $1, '1', now() + interval '1 h'`, [eventOf('1').source])
    const repeat = replica.intake.accept({ event: eventOf('1') }, 5_000)
    await until(async () => (await waiting(replica)) > 0)
    return { repeat }
  })
  expect(await (await settled).repeat).toEqual({ status: 'duplicate' })
  expect(await sql('select from S.event')).toEqual([])
})

test('a repeat of a parked event starts it anew, with what it brought this time', async () => {
  const { open, sql } = journals()
  const replica = await open()
  const [first] = await acceptAll(replica, [eventOf('1')])
  if (first === undefined) throw new Error('not accepted')
  const { event, row } = first
  await replica.ledger.settle([
    { as: 'park', event, row, queue: 'journal', attempts: 5, history: [attemptOf(5)], dueInMs: 0 },
  ])
  const again = await replica.intake.accept({ event: eventOf('1', { data: { no: 'corrected' } }) }, 5_000)
  expect(again).toEqual({
    status: 'accepted',
    row: { seq: expect.any(String), lease: expect.any(String), attempts: 0 },
  })
  expect(await sql('select state, attempts, data, parked_at from S.event')).toEqual([
    { state: 'leased', attempts: 0, data: { no: 'corrected' }, parked_at: null },
  ])
})

test('payloads come back as they were: JSON of every kind, text, bytes, nothing', async () => {
  const { open } = journals()
  const replica = await open()
  const payloads: [string, unknown, string?][] = [
    ['object', { a: [1, null, '\u0000', 'ä', '"\\'] }],
    ['null', null],
    ['string', 'text'],
    ['verbatim', { price: 1.1 }, '{ "price":   1.10 }'],
    ['none', undefined],
    ['lone surrogate', { a: '\ud800' }],
  ]
  for (const [id, data, json] of payloads) {
    await replica.intake.accept({ event: eventOf(id, { data }), ...(json === undefined ? {} : { json }) }, 5_000)
  }
  const datacontenttype = 'application/octet-stream'
  await replica.intake.accept({ event: eventOf('bytes', { data: Buffer.from([0, 255, 1]), datacontenttype }) }, 5_000)
  await replica.close()
  const claimed = await (await open()).intake.claim('journal', 100)
  const found = new Map(claimed.map(({ event }) => [event.id, event.data]))
  for (const [id, data] of payloads) expect(found.get(id), id).toEqual(data)
  expect(found.get('bytes')).toEqual(Buffer.from([0, 255, 1]))
})

test('every attribute of an event comes back, and a NUL in an id does not spoil its group', async () => {
  const { open } = journals()
  const replica = await open()
  const full = eventOf('full', {
    subject: 's',
    time: '2026-01-01T00:00:00Z',
    dataschema: 'https://schema.example',
    traceparent: '00-1-2-01',
    partitionkey: 'customer-7',
    extensions: { region: 'eu', level: 3, urgent: true },
    identified: false,
  })
  expect(await acceptAll(replica, [full, eventOf('a\0b')])).toHaveLength(2)
  await replica.close()
  const claimed = await (await open()).intake.claim('journal', 10)
  expect(claimed[0]?.event).toEqual(full)
  expect(idsOf(claimed)).toEqual(['full', 'a\uFFFDb'])
})

test('without an answer in time it fails with JOURNAL_UNAVAILABLE, and what was committed all the same is handled', async () => {
  const { open, url, states } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  await acceptAll(replica, [eventOf('warm')])
  proxy.delay(400)
  const startedAt = performance.now()
  await expect(replica.intake.accept({ event: eventOf('1') }, 100)).rejects.toMatchObject({
    code: 'JOURNAL_UNAVAILABLE',
  })
  expect(performance.now() - startedAt).toBeLessThan(400)
  await until(async () => (await states())['ready'] === 1)
  proxy.delay(0)
  expect(idsOf(await replica.intake.claim('journal', 10))).toEqual(['1'])
  await replica.close()
  await proxy.close()
})

test('an insert whose answer was lost finds its own row again and is no duplicate', async () => {
  const { open, url, sql } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  await acceptAll(replica, [eventOf('warm')])
  proxy.delay(150)
  const acceptance = replica.intake.accept({ event: eventOf('1') }, 10_000)
  await until(async () => (await sql(`select from S.event where id = '1'`)).length === 1)
  // Committed, and the answer is on its way: cut it off.
  proxy.reset()
  proxy.delay(0)
  expect(await acceptance).toMatchObject({ status: 'accepted' })
  expect(await sql(`select state from S.event where id = '1'`)).toEqual([{ state: 'leased' }])
  await replica.close()
  await proxy.close()
})

test('before open and after close nothing is accepted', async () => {
  const { create, open } = journals()
  await expect(create().intake.accept({ event: eventOf('1') }, 50)).rejects.toMatchObject({
    code: 'JOURNAL_UNAVAILABLE',
  })
  const replica = await open()
  await replica.close()
  await expect(replica.intake.accept({ event: eventOf('1') }, 50)).rejects.toMatchObject({
    code: 'JOURNAL_UNAVAILABLE',
  })
})
