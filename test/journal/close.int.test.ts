import { expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { acceptAll, attemptOf, eventOf, useJournals } from './journals.ts'
import { proxied } from './proxied.ts'

const journals = useJournals()
const patient = { waitMs: 10_000, signal: new AbortController().signal }

test('after close no connection is open, as the server sees it', async () => {
  const { open, connections } = journals()
  const replica = await open()
  await acceptAll(replica, [eventOf('1')])
  await Promise.all([1, 2, 3].map((n) => replica.ledger.underLock(`${n}`, patient, (tx) => tx.query('select 1'))))
  expect(await connections(replica)).toBeGreaterThan(1)
  await replica.close()
  await until(async () => (await connections(replica)) === 0)
})

test('close is legal twice, at once, and without open', async () => {
  const { create, open } = journals()
  const never = create()
  await Promise.all([never.close(), never.close()])
  const replica = await open()
  await Promise.all([replica.close(), replica.close()])
  await replica.close()
})

test('close during open leaves nothing open', async () => {
  const { create, connections } = journals()
  const replica = create()
  const opening = replica.open().catch(() => undefined)
  await replica.close()
  await opening
  await until(async () => (await connections(replica)) === 0)
})

test('close waits for what is under way: groups, settlements and transactions', async () => {
  const { open, sql, schema } = journals()
  const replica = await open()
  const [accepted] = await acceptAll(replica, [eventOf('settled')])
  if (accepted === undefined) throw new Error('not accepted')
  const late = Promise.all([
    ...['1', '2', '3'].map((id) => replica.intake.accept({ event: eventOf(id) }, 5_000)),
    replica.ledger.settle([{ as: 'done', event: accepted.event, row: accepted.row, counters: { n: 1 } }]),
    replica.ledger.underLock('slow', patient, async (tx) => {
      await tx.query('select pg_sleep(0.3)')
      await tx.query(`insert into ${schema}.counter values ('slow', 1)`)
    }),
  ])
  await replica.close()
  await late
  expect(await sql('select name from S.counter order by name')).toEqual([{ name: 'n' }, { name: 'slow' }])
  expect(await journals().states()).toEqual({ ready: 3 })
})

test('while Postgres is away close ends within five seconds, and a settlement that could not be written fails', async () => {
  const { open, url } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  const [accepted] = await acceptAll(replica, [eventOf('1')])
  if (accepted === undefined) throw new Error('not accepted')
  const { event, row } = accepted
  proxy.blackHole()
  const settled = replica.ledger.settle([
    { as: 'retry', event, row, queue: 'journal', attempts: 1, history: [attemptOf(1)], dueInMs: 0 },
  ])
  const failed = expect(settled).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' })
  const startedAt = performance.now()
  await replica.close()
  expect(performance.now() - startedAt).toBeLessThan(6_500)
  await failed
  expect(replica.lines.some(({ message }) => message.includes('could not be given back'))).toBe(true)
  await proxy.close()
}, 30_000)

test('open fails with JOURNAL_UNAVAILABLE where nobody listens, and may be tried again', async () => {
  const { create, url } = journals()
  const { proxy, ...line } = await proxied(url)
  proxy.refuse()
  const replica = create(line)
  await expect(replica.open()).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' })
  proxy.heal()
  await replica.open()
  expect(await replica.intake.claim('orders', 1)).toEqual([])
  await replica.close()
  await proxy.close()
})

test('the address of the database, which holds a password, is in no error and no log line', async () => {
  const { create } = journals()
  const replica = create({ url: 'postgresql://user:canary-password@127.0.0.1:1/nothing' })
  const thrown = await replica.open().catch((error: unknown) => error)
  expect(`${thrown} ${JSON.stringify(thrown)} ${JSON.stringify(replica.lines)}`).not.toContain('canary')
})
