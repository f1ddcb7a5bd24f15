import { expect, it } from 'vitest'
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
