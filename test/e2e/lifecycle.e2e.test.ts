import { Admin } from '@platformatic/kafka'
import { expect, inject, it } from 'vitest'
import type { ParkedEvent, ParkedSummary } from '../../machines/journal.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'
import { createWorld, type World } from './lifecycle.harness.ts'

const effectsOf = async ({ database, name }: World): Promise<number> =>
  (await database.query<{ n: number }>(`select count(*)::int as n from ${name}.effects`)).rows[0]?.n ?? 0

const drained = async (controller: DrivenProcess): Promise<void> => {
  controller.signal('SIGTERM')
  expect(await controller.exit, controller.output()).toEqual({ code: 0, signal: null })
  expect(controller.log().at(-1)).toMatchObject({ msg: 'drained', clean: true, reason: 'SIGTERM', unsettled: [] })
}

it('a handler that throws is tried again and then parked with its history; redrive makes it succeed', async () => {
  await using world = await createWorld()
  const controller = await world.start()
  await world.enqueue('broken-1', 'broken')
  const event = await until(async () => (await world.admin<{ events: ParkedSummary[] }>('/events')).events[0])
  expect(event).toMatchObject({ id: 'broken-1', via: 'table', attempts: 3, error: { code: 'HANDLER_FAILED' } })
  const { history } = await world.admin<ParkedEvent>(`/events/${event.seq}`)
  expect(history.map(({ attempt, error }) => [attempt, error.message])).toEqual([
    [1, expect.stringContaining('still broken')],
    [2, expect.stringContaining('still broken')],
    [3, expect.stringContaining('still broken')],
  ])
  const { rows } = await world.database.query(`select attempt from ${world.name}.executions order by at`)
  expect(rows).toEqual([{ attempt: 1 }, { attempt: 2 }, { attempt: 3 }])
  expect(await effectsOf(world)).toBe(0)

  await world.database.query(`insert into ${world.name}.mended values (now())`)
  expect(await world.admin('/control', { name: 'redrive', filter: { seqs: [event.seq] } })).toEqual({ count: 1 })
  await until(async () => (await effectsOf(world)) === 1)
  await until(() => world.empty())
  expect(await world.admin('/events')).toMatchObject({ events: [] })
  await drained(controller)
})

/** As long as it is there no commit succeeds that writes an effect or an event of the journal. */
const refusal = ({ name }: World) => ({
  begin: `create function ${name}.refuse() returns trigger language plpgsql as
      $$ begin raise exception 'not now' using errcode = '40001'; end $$;
    create constraint trigger refuse after insert on ${name}.effects
      deferrable initially deferred for each row execute function ${name}.refuse();
    create constraint trigger refuse after insert or update on ${name}_journal.event
      deferrable initially deferred for each row execute function ${name}.refuse();`,
  end: `drop function ${name}.refuse cascade`,
})

/** Records that the group of the controller has committed. */
const committedRecords = async ({ name }: World): Promise<number> => {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: inject('kafkaBrokers').split(',') })
  try {
    const [group] = await admin.listConsumerGroupOffsets({ groups: [name] })
    const partitions = group?.topics.flatMap((topic) => topic.partitions) ?? []
    return partitions.reduce((sum, { committedOffset }) => sum + Math.max(0, Number(committedOffset)), 0)
  } finally {
    await admin.close()
  }
}

it('an ack comes after the effect is durable: while every commit fails the brokers keep everything, also over a kill', async () => {
  await using world = await createWorld()
  const { database, name, ledger } = world
  const killed = await world.start()
  await world.ready()
  await database.query(refusal(world).begin)
  const ids = Array.from({ length: 20 }, (_, n) => n)
  for (const entrance of ['rabbit', 'record'] as const) {
    for (const n of ids) await ledger.send(`${entrance}-${n}`, (id) => world.send(entrance, id))
  }
  expect(await ledger.send('hook-refused', (id) => world.send('hook', id))).toBe(false)
  await until(async () => {
    const { rows } = await database.query(
      `select split_part(id, '-', 1) as entrance from ${name}.executions group by 1 having count(*) > 1`,
    )
    return rows.length === 2
  }, 90_000)
  killed.signal('SIGKILL')
  await killed.exit
  expect(await effectsOf(world)).toBe(0)
  await until(async () => (await world.inRabbit()) === ids.length)
  expect(await committedRecords(world)).toBe(0)

  await database.query(refusal(world).end)
  const next = await world.start()
  await until(async () => (await effectsOf(world)) === 2 * ids.length, 60_000)
  await until(() => world.empty())
  await until(async () => (await world.inRabbit()) === 0 && (await committedRecords(world)) === ids.length)
  await drained(next)
})
