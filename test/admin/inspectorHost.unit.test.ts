import { expect, test } from 'vitest'
import { HostError } from '../../inspector/host.ts'
import type { ControlCommand } from '../../inspector/protocol.ts'
import { ControllerError, type ErrorCode } from '../../machines/errors.ts'
import type { ParkedEvent } from '../../machines/journal.ts'
import { createInspectorHost } from '../../src/admin/inspectorHost.ts'
import { createLatency } from '../../src/runtime/latency.ts'
import type { Status } from '../../src/status.ts'

const who = { by: 'inspector', address: '127.0.0.1', session: 's-1' } as const
const status = { state: 'running' } as Status
const parked: ParkedEvent = {
  seq: '7',
  id: 'o-1',
  type: 'order.created',
  via: 'orders',
  attempts: 5,
  parkedAt: '2026-01-01T00:00:00.000Z',
  error: { code: 'EVENT_MALFORMED', message: 'no JSON' },
  event: {
    id: 'o-1',
    source: 's',
    type: 'order.created',
    data: {},
    kind: 'queue.event',
    via: 'orders',
    identified: true,
  },
  history: [],
  raw: Buffer.from('{').toString('base64'),
}

const hosted = (failure?: ControllerError) => {
  const performed: unknown[] = []
  const limits: number[] = []
  const latency = createLatency()
  const host = createInspectorHost({
    latency,
    parked: {
      list: async ({ limit }) => {
        limits.push(limit)
        return [parked]
      },
      show: async (seq) => (seq === '7' ? parked : undefined),
      counts: async () => ({ orders: 1 }),
    },
    target: {
      status: async () => status,
      control: {
        perform: async (command, by) => {
          if (failure !== undefined) throw failure
          performed.push([command, by])
          return { count: 1 }
        },
      },
    },
  })
  return { host, latency, performed, limits }
}

test('every command that it names is taken, with who gave it, and its result is the answer', async () => {
  const { host, performed } = hosted()
  const commands: readonly ControlCommand[] = [
    { name: 'pause', source: 'orders' },
    { name: 'resume', source: 'orders' },
    { name: 'credit', source: 'orders', events: 9 },
    { name: 'drain' },
    { name: 'redrive', filter: { seqs: ['7'] } },
    { name: 'drop', filter: {} },
    { name: 'editAndRedrive', seq: '7', data: { a: 1 } },
    { name: 'releaseWaiter', lock: 'ledger', source: 'orders', event: 'o-1' },
    { name: 'logLevel', level: 'debug' },
    { name: 'rotateSecret', source: 'hook' },
  ]
  expect(commands.map(({ name }) => name)).toEqual(host.commands)
  for (const command of commands) expect(await host.control(command, who)).toEqual({ count: 1 })
  expect(performed).toMatchObject(commands.map((command) => [command, who]))
  expect(performed[5]).toEqual([{ name: 'drop', filter: { limit: 1_000 } }, who])
})

test.each([
  ['COMMAND_REFUSED', 'REFUSED', {}],
  ['COMMAND_INVALID', 'REFUSED', {}],
  ['COMMAND_INVALID', 'NO_EVENT', { seq: '7' }],
  ['JOURNAL_UNAVAILABLE', 'UNAVAILABLE', {}],
] satisfies [ErrorCode, HostError['code'], object][])(
  'a refusal with %s is %s on the page',
  async (code, shown, fields) => {
    const { host } = hosted(new ControllerError(code, 'The controller is draining.', { fields }))
    const thrown = await host.control({ name: 'pause', source: 'orders' }, who).catch((error: unknown) => error)
    expect(thrown).toBeInstanceOf(HostError)
    expect(thrown).toMatchObject({ code: shown, message: 'The controller is draining.' })
  },
)

test('what is out of bounds never reaches the controller', async () => {
  const { host, performed } = hosted()
  for (const command of [
    { name: 'credit', source: 'orders', events: 0 },
    { name: 'logLevel', level: 'loud' },
    { name: 'redrive', filter: { limit: 5_000 } },
  ] satisfies ControlCommand[]) {
    await expect(host.control(command, who)).rejects.toMatchObject({ code: 'REFUSED' })
  }
  expect(performed).toEqual([])
})

test('parked events come with the counts of all, and one of them without its raw bytes', async () => {
  const { host, limits } = hosted()
  expect(await host.parked({})).toMatchObject({ events: [{ seq: '7' }], counts: { orders: 1 } })
  expect(limits).toEqual([100])
  const shown = await host.parkedEvent('7')
  expect(shown).toMatchObject({ seq: '7', rawBytes: 1 })
  expect(shown).not.toHaveProperty('raw')
  expect(await host.parkedEvent('8')).toBeUndefined()
})

test('an event made by hand is the command that it stands for, and others are refused', async () => {
  const { host, performed } = hosted()
  await host.send?.('controller', { type: 'controller.pause', source: 'orders' }, who)
  expect(performed).toEqual([[{ name: 'pause', source: 'orders' }, who]])
  for (const [actor, event] of [
    ['controller', { type: 'controller.drain', reason: 'x' }],
    ['controller', { type: 'controller.pause' }],
    ['jobs', { type: 'controller.pause', source: 'orders' }],
  ] as const) {
    await expect(host.send?.(actor, event, who)).rejects.toMatchObject({ code: 'REFUSED' })
  }
  expect(performed).toHaveLength(1)
})

test('latency is that of the events since it was last asked, and absent when there were none', async () => {
  const { host, latency } = hosted()
  for (let no = 0; no < 100; no++) latency.note(no < 98 ? 0.003 : 4)
  expect(await host.status()).toEqual({ state: 'running', latency: { count: 100, p50: 3, p95: 3, p99: 4_000 } })
  expect(await host.status()).toEqual({ state: 'running' })
})
