import { expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { acceptAll, eventOf, idsOf, useJournals } from './journals.ts'
import { proxied } from './proxied.ts'

const journals = useJournals()
const order = (over: object = {}) => ({ type: 'order.created', data: { no: 1 }, ...over })

test('a claim leases due rows, most urgent first, and no more than asked for', async () => {
  const replica = await journals().open()
  await replica.enqueue('orders', order({ id: 'a' }))
  await replica.enqueue('orders', order({ id: 'b' }))
  await replica.enqueue('orders', order({ id: 'urgent', priority: 5 }))
  await replica.enqueue('orders', order({ id: 'later', delayMs: 3_600_000 }))
  await replica.enqueue('others', order({ id: 'c' }))
  expect(idsOf(await replica.intake.claim('orders', 2))).toEqual(['urgent', 'a'])
  expect(idsOf(await replica.intake.claim('orders', 100))).toEqual(['b'])
  expect(idsOf(await replica.intake.claim('orders', 100))).toEqual([])
})

test('an enqueued event comes with all that was given, and its row', async () => {
  const replica = await journals().open()
  const seq = await replica.enqueue('orders', order({ id: '1', key: 'customer-7', source: 'https://shop.example' }))
  const [claimed] = await replica.intake.claim('orders', 1)
  expect(claimed).toEqual({
    event: {
      id: '1',
      source: 'https://shop.example',
      type: 'order.created',
      data: { no: 1 },
      partitionkey: 'customer-7',
      kind: 'queue.event',
      via: 'orders',
      identified: true,
    },
    bytes: 8,
    redelivered: false,
    row: { seq, lease: replica.intake.replica(), attempts: 0 },
  })
})

test('an application enqueues inside its own transaction, with no right but to the schema', async () => {
  const { open, sql, schema } = journals()
  const replica = await open()
  const role = `app_${schema}`
  await sql(`create role ${role}; grant usage on schema ${schema} to ${role}`)
  try {
    const enqueue = `select S.enqueue('orders', 'order.created', '{"no": 7}', key => 'k', priority => 3)`
    await sql(`begin; set local role ${role}; ${enqueue}; rollback`)
    expect(idsOf(await replica.intake.claim('orders', 10))).toEqual([])
    await sql(`begin; set local role ${role}; ${enqueue}; commit`)
    expect((await replica.intake.claim('orders', 10)).map(({ event }) => event.data)).toEqual([{ no: 7 }])
  } finally {
    await sql(`drop owned by ${role}; drop role ${role}`)
  }
})

test('an event with the same source and id is enqueued once', async () => {
  const replica = await journals().open()
  expect(await replica.enqueue('orders', order({ id: '1' }))).toBeDefined()
  expect(await replica.enqueue('orders', order({ id: '1' }))).toBeUndefined()
  expect(await replica.intake.claim('orders', 10)).toHaveLength(1)
})

test('two replicas that claim at once get each row once', async () => {
  const { open, sql } = journals()
  const replicas = await Promise.all([open(), open()])
  await sql(`select S.enqueue('orders', 'order.created', '1') from generate_series(1, 2000)`)
  const taken = await Promise.all(
    replicas.flatMap((replica) =>
      Array.from({ length: 3 }, async () => {
        const ids: string[] = []
        for (;;) {
          const page = idsOf(await replica.intake.claim('orders', 50))
          if (page.length === 0) return ids
          ids.push(...page)
        }
      }),
    ),
  )
  const all = taken.flat()
  expect(all).toHaveLength(2000)
  expect(new Set(all).size).toBe(2000)
})

test('NOTIFY wakes the listeners of a queue, at once or when the row falls due', async () => {
  const { open, sql } = journals()
  const replica = await open()
  let wakes = 0
  replica.intake.onWake('orders', () => {
    wakes++
  })
  await sql(`select S.enqueue('others', 'order.created', '1')`)
  await sql(`select S.enqueue('orders', 'order.created', '1')`)
  await until(() => wakes === 1)
  await replica.intake.claim('orders', 10)
  const startedAt = performance.now()
  await sql(`select S.enqueue('orders', 'order.created', '1', delay => '300 ms')`)
  await until(() => wakes === 2)
  expect(performance.now() - startedAt).toBeGreaterThan(290)
  expect(await replica.intake.claim('orders', 10)).toHaveLength(1)
})

test('an empty claim sees what falls due soon, also when it was enqueued before', async () => {
  const { open, sql, create } = journals()
  await open()
  await sql(`select S.enqueue('orders', 'order.created', '1', delay => '500 ms')`)
  const replica = create()
  await replica.open()
  let woken = false
  replica.intake.onWake('orders', () => {
    woken = true
  })
  expect(await replica.intake.claim('orders', 10)).toEqual([])
  await until(() => woken)
  expect(await replica.intake.claim('orders', 10)).toHaveLength(1)
})

test('after the listening connection was killed it is back, and nothing that happened meanwhile is missed', async () => {
  const { open, sql } = journals()
  const replica = await open()
  let wakes = 0
  replica.intake.onWake('orders', () => {
    wakes++
  })
  const killed = await sql(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and query ~* 'listen|lock|replica|select 1'`,
    [`koksmat ${replica.name}`],
  )
  expect(killed.length).toBeGreaterThan(0)
  await until(() => wakes === 1)
  await sql(`select S.enqueue('orders', 'order.created', '1')`)
  await until(() => wakes === 2)
})

test('a claim fails at once while Postgres cannot be reached', async () => {
  const { open, url } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  proxy.refuse()
  proxy.reset()
  await expect(replica.intake.claim('orders', 1)).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' })
  await until(() => replica.healths.at(-1)?.up === false)
  proxy.heal()
  await until(() => replica.healths.at(-1)?.up === true)
  expect(await replica.intake.claim('orders', 1)).toEqual([])
  await replica.close()
  await proxy.close()
})

test('rows of a claim whose commit was never confirmed are given back', async () => {
  const { open, url, states, sql } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  await replica.enqueue('orders', order())
  proxy.delay(150)
  const claim = replica.intake.claim('orders', 10)
  await until(async () => (await states())['leased'] === 1)
  // Committed, and the confirmation is on its way: cut it off.
  proxy.reset()
  proxy.delay(0)
  await expect(claim).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' })
  await until(async () => (await states())['ready'] === 1)
  expect(await sql('select redelivered from S.event')).toEqual([{ redelivered: false }])
  await replica.close()
  await proxy.close()
})

test('a payload that cannot be read comes with its defect, others of its page without', async () => {
  const { open, sql } = journals()
  const replica = await open()
  await sql(`select S.enqueue('orders', 'order.created', '{"__proto__": 1}', id => 'bad')`)
  await sql(`select S.enqueue('orders', 'order.created', '1', id => 'good')`)
  const [bad, good] = await replica.intake.claim('orders', 10)
  expect(bad?.defect?.error.code).toBe('EVENT_MALFORMED')
  expect(Buffer.from(bad?.defect?.raw ?? []).toString()).toBe('{"__proto__": 1}')
  expect(good?.defect).toBeUndefined()
})

test('rows of other queues are not touched', async () => {
  const replica = await journals().open()
  await acceptAll(replica, [eventOf('1')])
  expect(await replica.intake.claim('journal', 10)).toEqual([])
})
