import { expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { acceptAll, eventOf, type Replica, useJournals } from './journals.ts'
import { proxied } from './proxied.ts'

const journals = useJournals()
const poison = eventOf('poison')

/** A replica that begins the event, and dies. */
const dieWith = async (begin: (replica: Replica) => Promise<unknown>): Promise<void> => {
  const { open, url } = journals()
  const { proxy, ...line } = await proxied(url)
  const replica = await open(line)
  await begin(replica)
  proxy.refuse()
  proxy.reset()
  await until(async () => (await journals().connections(replica)) === 0)
  await replica.close()
  await proxy.close()
}

test('an event that was never begun is recorded, and has no deaths', async () => {
  const replica = await journals().open()
  expect(await replica.ledger.begin([poison, eventOf('other')])).toEqual([0, 0])
  expect(await journals().sql('select id, lease_by, deaths from S.begun order by id')).toEqual([
    { id: 'other', lease_by: replica.intake.replica(), deaths: 0 },
    { id: 'poison', lease_by: replica.intake.replica(), deaths: 0 },
  ])
})

test('an event with which a process died is a suspect at once, and guilty when it dies with the event alone', async () => {
  await dieWith(({ ledger }) => ledger.begin([poison]))
  await dieWith(async ({ ledger }) => {
    expect(await ledger.judge([poison, eventOf('other')])).toEqual(['suspect', 'clear'])
    await ledger.calm()
    await ledger.beginAlone(poison)
  })
  const replica = await journals().open()
  expect(await replica.ledger.judge([poison, eventOf('other')])).toEqual(['guilty', 'clear'])
})

test('after a death a run is not recorded until it begins alone, so its neighbours are not blamed', async () => {
  await dieWith(({ ledger }) => ledger.begin([poison, eventOf('neighbour')]))
  await dieWith(async ({ ledger }) => {
    expect(await ledger.judge([poison, eventOf('neighbour')])).toEqual(['suspect', 'suspect'])
    await ledger.calm()
    await ledger.beginAlone(poison)
  })
  const replica = await journals().open()
  expect(await replica.ledger.judge([poison, eventOf('neighbour')])).toEqual(['guilty', 'suspect'])
})

test('a suspect that was held back when the process died is clear again, but only twice', async () => {
  const suspected = () => dieWith(({ ledger }) => ledger.begin([poison]))
  const heldBack = () => dieWith(async ({ ledger }) => expect(await ledger.judge([poison])).toEqual(['suspect']))
  await suspected()
  for (let acquittal = 1; acquittal <= 2; acquittal++) {
    await heldBack()
    await dieWith(async ({ ledger }) => {
      expect(await ledger.judge([poison])).toEqual(['clear'])
      expect(await ledger.begin([poison])).toEqual([0])
    })
  }
  await heldBack()
  const replica = await journals().open()
  expect(await replica.ledger.judge([poison])).toEqual(['suspect'])
})

test('of events that run one after the other only the one that runs now is blamed', async () => {
  const [first, second] = [eventOf('first'), eventOf('second')]
  await dieWith(async ({ ledger }) => {
    await ledger.begin([first])
    await ledger.begin([second], [first])
  })
  const replica = await journals().open()
  expect(await replica.ledger.judge([first, second])).toEqual(['clear', 'suspect'])
})

test('an event that comes again while its run still goes on here or elsewhere is no death', async () => {
  const { open } = journals()
  const [one, two] = await Promise.all([open(), open()])
  await one.ledger.begin([poison])
  expect(await one.ledger.begin([poison])).toEqual([0])
  expect(await two.ledger.begin([poison])).toEqual([0])
})

test('a run that was given back by a shutdown is no death', async () => {
  const { open } = journals()
  const leaving = await open()
  await leaving.ledger.begin([poison])
  await leaving.ledger.settle([{ as: 'release', event: poison, begun: true }])
  await leaving.close()
  const replica = await open()
  expect(await replica.ledger.judge([poison])).toEqual(['clear'])
})

test('what a replica that leaves in order had begun or held back is no death', async () => {
  const { open } = journals()
  await dieWith(({ ledger }) => ledger.begin([poison]))
  const leaving = await open()
  await leaving.ledger.begin([eventOf('other')])
  expect(await leaving.ledger.judge([poison])).toEqual(['suspect'])
  await leaving.close()
  const replica = await open()
  expect(await replica.ledger.judge([poison, eventOf('other')])).toEqual(['suspect', 'clear'])
})

test('an ending forgets the deaths', async () => {
  await dieWith(({ ledger }) => ledger.begin([poison]))
  const replica = await journals().open()
  expect(await replica.ledger.judge([poison])).toEqual(['suspect'])
  await replica.ledger.beginAlone(poison)
  await replica.ledger.settle([{ as: 'done', event: poison, begun: true }])
  expect(await replica.ledger.judge([poison])).toEqual(['clear'])
})

test('a checkpoint is there on the next run, and is refused when the lease is lost', async () => {
  const { open, sql } = journals()
  const replica = await open()
  const [long] = await acceptAll(replica, [eventOf('long')])
  if (long === undefined) throw new Error('not accepted')
  expect(await replica.ledger.checkpoint(long.row, { done: [1, 2] })).toBe(true)
  await replica.ledger.settle([{ as: 'release', event: long.event, row: long.row }])
  const [again] = await replica.intake.claim('journal', 1)
  expect(again?.row.checkpoint).toEqual({ done: [1, 2] })
  await sql('update S.event set lease_by = 4711')
  expect(await replica.ledger.checkpoint(long.row, { done: [3] })).toBe(false)
})

test('before the journal is open nothing is leased or recorded, and what may wait is done when it is', async () => {
  const { open, create, sql } = journals()
  const first = await open()
  await acceptAll(first, [eventOf('row')])
  await sql(`update S.event set state = 'ready', lease_by = null`)
  const replica = create()
  await expect(replica.intake.claim('journal', 1)).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' })
  const begun = replica.ledger.begin([poison])
  await first.ledger.seen([poison])
  expect(await sql('select id from S.begun')).toEqual([])
  await replica.open()
  expect(await begun).toEqual([0])
  expect(await sql('select lease_by from S.begun')).toEqual([{ lease_by: replica.intake.replica() }])
})

test('a replica that was declared dead ends under its new number what it began under the old one', async () => {
  const { open, sql } = journals()
  const replica = await open({ heartbeatMs: 50 })
  const old = replica.intake.replica()
  await replica.ledger.begin([poison, eventOf('given back')])
  await sql('delete from S.replica')
  await until(() => replica.intake.replica() !== old)
  await replica.ledger.settle([
    { as: 'done', event: poison, begun: true },
    { as: 'release', event: eventOf('given back'), begun: true },
  ])
  expect(await sql('select id, lease_by from S.begun')).toEqual([{ id: 'given back', lease_by: null }])
  expect(await replica.ledger.judge([eventOf('given back')])).toEqual(['clear'])
})
