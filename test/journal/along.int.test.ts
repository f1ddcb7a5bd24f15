import { expect, test } from 'vitest'
import type { Claimed, Done } from '../../machines/journal.ts'
import { until } from '../support/until.ts'
import { acceptAll, eventOf, type Replica, useJournals } from './journals.ts'
import { proxied } from './proxied.ts'

const journals = useJournals()

const done = ({ event, row }: Claimed, over: Partial<Done> = { keepMs: 60_000 }): Done => ({
  as: 'done',
  event,
  row,
  ...over,
})
const accepted = (replica: Replica, ...ids: string[]): Promise<Claimed[]> =>
  acceptAll(
    replica,
    ids.map((id) => eventOf(id)),
  )
const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `old ${index}`)

/** When the transactions began that wrote events and marks (kept for a minute), by id: what was written together. */
const writers = async (): Promise<Record<string, string>> => {
  const { sql } = journals()
  const rows = await sql<{ id: string; by: string }>(
    `select id, accepted_at::text as by from S.event union all select id, (until - interval '1 minute')::text from S.seen`,
  )
  return Object.fromEntries(rows.map(({ id, by }) => [id, by]))
}

test('a settlement and the webhooks that are accepted beside it share one commit', async () => {
  const replica = await journals().open()
  const old = await accepted(replica, 'old', 'older')
  await Promise.all([accepted(replica, 'new'), replica.ledger.settle(old.map((one) => done(one)))])
  const { old: first, older, new: accepting } = await writers()
  expect([first, older]).toEqual([accepting, accepting])
  expect(await journals().states()).toEqual({ leased: 1 })
})

test('a settlement that leaves no marks goes along as well', async () => {
  const { open, sql, schema } = journals()
  const replica = await open()
  const old = await accepted(replica, 'old', 'older')
  await sql(`create table S.deleted (id text, at timestamptz default now());
    create function S.log_deleted() returns trigger language plpgsql as
      $$ begin insert into ${schema}.deleted (id) values (old.id); return old; end $$;
    create trigger log_deleted before delete on S.event for each row execute function S.log_deleted()`)
  await Promise.all([accepted(replica, 'new'), replica.ledger.settle(old.map((one) => done(one, {})))])
  const deletions = await sql<{ by: string }>('select at::text as by from S.deleted')
  const { new: accepting } = await writers()
  expect(deletions.map(({ by }) => by)).toEqual([accepting, accepting])
  expect(await replica.ledger.seen(old.map(({ event }) => event))).toEqual([false, false])
})

test('a repeat of an event that is settled by the same statement is a duplicate', async () => {
  const replica = await journals().open()
  const old = await accepted(replica, 'old')
  const [beside] = await Promise.all([
    accepted(replica, 'old', 'new'),
    replica.ledger.settle(old.map((one) => done(one))),
  ])
  expect(beside.map(({ event }) => event.id)).toEqual(['new'])
  const { old: mark, new: accepting } = await writers()
  expect(mark).toBe(accepting)
  expect(await journals().states()).toEqual({ leased: 1 })
})

test.each([
  ['with the next webhooks', true],
  ['by itself where none come', false],
])('a settlement that came too late for one group goes %s', async (_how, othersCome) => {
  const { open, url, sql } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  const old = await accepted(replica, 'old')
  proxy.delay(100)
  const first = accepted(replica, 'first')
  await until(async () => (await sql(`select from S.event where id = 'first'`)).length === 1)
  const settled = replica.ledger.settle(old.map((one) => done(one)))
  await Promise.all([first, settled, othersCome ? accepted(replica, 'next') : undefined])
  const by = await writers()
  expect(by['old']).not.toBe(by['first'])
  if (othersCome) expect(by['old']).toBe(by['next'])
  await replica.close()
  await proxy.close()
})

test('a settlement is written although the acceptance beside it fails', async () => {
  const replica = await journals().open()
  const old = await accepted(replica, 'old')
  const impossible = eventOf('new', { kind: 'nonsense' as 'webhook.event' })
  const acceptance = replica.intake.accept({ event: impossible }, 5_000)
  await Promise.all([
    expect(acceptance).rejects.toMatchObject({ cause: { code: '23514' } }),
    replica.ledger.settle(old.map((one) => done(one))),
  ])
  expect(Object.keys(await writers())).toEqual(['old'])
  expect(await replica.ledger.seen([eventOf('old')])).toEqual([true])
})

test('when the answer to both is lost, both are found to be done', async () => {
  const { open, url, sql, states } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  const old = await accepted(replica, 'old')
  proxy.delay(150)
  const both = Promise.all([accepted(replica, 'new'), replica.ledger.settle(old.map((one) => done(one)))])
  await until(async () => (await sql(`select from S.event where id = 'new'`)).length === 1)
  proxy.reset()
  proxy.delay(0)
  const [beside] = await both
  expect(beside).toHaveLength(1)
  expect(await replica.ledger.seen([eventOf('old')])).toEqual([true])
  expect(await states()).toEqual({ leased: 1 })
  await replica.close()
  await proxy.close()
})

test('a row that is not leased to this replica any more stays, whatever goes along', async () => {
  const { open, sql } = journals()
  const replica = await open()
  const old = await accepted(replica, 'old', 'taken')
  await sql(`update S.event set lease_by = lease_by + 1000 where id = 'taken'`)
  await Promise.all([accepted(replica, 'new'), replica.ledger.settle(old.map((one) => done(one)))])
  expect(await replica.ledger.seen([eventOf('old'), eventOf('taken')])).toEqual([true, false])
  expect(replica.lines).toContainEqual(expect.objectContaining({ level: 'warn', fields: { lost: 1, of: 2 } }))
})

test('senders of webhooks do not wait for many rows, nor for what needs a transaction of its own', async () => {
  const replica = await journals().open()
  const many = await accepted(replica, ...numbered(129))
  const [counting] = await accepted(replica, 'counting')
  if (counting === undefined) throw new Error('not accepted')
  await Promise.all([accepted(replica, 'new'), replica.ledger.settle(many.map((one) => done(one)))])
  await Promise.all([
    accepted(replica, 'newer'),
    replica.ledger.settle([done(counting, { keepMs: 60_000, counters: { orders: 2 } })]),
  ])
  const by = await writers()
  expect(by['old 0']).not.toBe(by['new'])
  expect(by['counting']).not.toBe(by['newer'])
  expect(await replica.counters()).toEqual({ orders: '2' })
})

test('two replicas that settle what the other gets repeats of stand in no circle for long', async () => {
  const { open, sql, states } = journals()
  const [one, two] = await Promise.all([open(), open()])
  const names = (of: string): string[] => Array.from({ length: 40 }, (_, index) => `${of} ${index}`)
  const [ofOne, ofTwo] = await Promise.all([accepted(one, ...names('one')), accepted(two, ...names('two'))])
  const beside = await Promise.all([
    accepted(one, ...names('two'), 'new of one'),
    accepted(two, ...names('one'), 'new of two'),
    one.ledger.settle(ofOne.map((each) => done(each))),
    two.ledger.settle(ofTwo.map((each) => done(each))),
  ])
  expect(beside.flatMap((claimed) => claimed ?? []).map(({ event }) => event.id)).toEqual(['new of one', 'new of two'])
  expect(await states()).toEqual({ leased: 2 })
  expect(await sql('select count(*)::integer as marks from S.seen')).toEqual([{ marks: 80 }])
})
