import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createActor, fromCallback } from 'xstate'
import { createDefinitions } from '../../inspector/definition.ts'
import type { Flight } from '../../inspector/protocol/flight.ts'
import { createRecorder } from '../../inspector/recorder.ts'
import { createRedaction } from '../../inspector/redaction.ts'
import { createSerializer } from '../../inspector/serialize.ts'
import { controllerMachine } from '../../machines/controller.ts'
import type { JobsCommand, JobsSettled, JournalCommand, JournalFact, OperatorTask } from '../../machines/protocol.ts'
import { sourceMachine } from '../../machines/source.ts'
import { replay } from '../../src/cli/replay.ts'
import { createLog } from '../../src/log.ts'
import { briefOf } from '../../src/runtime/flightEvents.ts'
import { createFlights } from '../../src/runtime/flights.ts'
import { linkLogic } from '../../src/runtime/link.ts'
import { createFakeDriver } from '../support/fakeDriver.ts'
import { until } from '../support/until.ts'

/** The real machines around a driver without a service, recorded. */
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'koksmat-recorder-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const log = createLog({ level: 'silent', format: 'json' })
const newRecorder = () =>
  createRecorder({
    name: 'test',
    version: '1.0.0',
    serialize: createSerializer(createRedaction()),
    definitions: createDefinitions(),
    brief: briefOf,
  })

const flown = async (events: number) => {
  const recorder = newRecorder()
  const driver = createFakeDriver()
  const quiet = { gauge: () => undefined, count: () => undefined }
  const link = linkLogic(() => ({ driver: driver.driver, log, ...quiet }))
  const machine = recorder.record(
    controllerMachine.provide({
      actors: {
        source: recorder.record(sourceMachine.provide({ actors: { link } })),
        journal: fromCallback<JournalCommand>(({ sendBack, receive }) => {
          receive(() => sendBack({ type: 'journal.closed' } satisfies JournalFact))
          sendBack({ type: 'journal.up' } satisfies JournalFact)
        }),
        operator: fromCallback<OperatorTask>(() => undefined),
        jobs: fromCallback<JobsCommand>(({ sendBack, receive }) => {
          receive((command) => {
            if (!('delivery' in command)) return
            const { source, delivery } = command
            const settlements = [{ receipt: delivery.receipt, outcome: 'ack' as const }]
            const batches = [{ source, settlements, bytes: delivery.bytes, results: { done: 1 } }]
            sendBack({ type: 'jobs.settled', batches } satisfies JobsSettled)
          })
        }),
      },
    }),
  )
  const policy = { preStopMs: 0, drainMs: 5_000, abortMs: 1_000, closeMs: 1_000 }
  const sources = [{ name: 'orders', kind: 'queue.event' as const, credit: { events: 100, bytes: 1_000_000 } }]
  const root = createActor(machine, { id: 'controller', input: { sources, policy } }).start()
  await until(() => root.getSnapshot().matches('running') && driver.calls.includes('consume'))
  for (let i = 0; i < events; i++) driver.deliver(1)
  await until(() => driver.settled.length === events)
  driver.lose()
  root.send({ type: 'controller.drain', reason: 'the test' })
  await until(() => root.getSnapshot().status === 'done')
  return { recorder, driver }
}

const replayed = (flight: Flight) => {
  const file = join(folder, `${randomUUID()}.json`)
  writeFileSync(file, JSON.stringify(flight))
  return replay(file)
}

describe('the flight recorder', () => {
  it('keeps what was told to each machine, without payloads, and a replay leads where it led', async () => {
    const { recorder } = await flown(3)
    const flight = recorder.dump('asked')
    expect(flight.actors.map(({ id }) => id).sort()).toEqual(['controller', 'source:orders'])
    expect(JSON.stringify(flight)).not.toContain('"data"')
    const steps = replayed(flight)
    expect(steps.filter(({ recorded }) => recorded !== undefined)).toEqual([])
    expect(steps.find(({ event }) => event === 'queue.event')).toMatchObject({ actor: 'controller', after: 'running' })
    expect(steps.find(({ event }) => event === 'link.lost')).toMatchObject({ before: 'listening', after: 'backingOff' })
    expect(steps.at(-1)).toMatchObject({ actor: 'controller', event: 'journal.closed', after: 'stopped' })
  })

  it('is bounded: after 1,000 events the last 128 to 256 of each are there, from the state they began in', async () => {
    const { recorder } = await flown(1_000)
    const flight = recorder.dump('asked')
    for (const { entries, earlier } of flight.actors) {
      expect(entries.length).toBeGreaterThan(128)
      expect(entries.length).toBeLessThanOrEqual(256)
      expect(earlier).toBeGreaterThan(1_000)
    }
    expect(replayed(flight).filter(({ recorded }) => recorded !== undefined)).toEqual([])
  })

  it('a replay says where this version leads elsewhere', async () => {
    const { recorder } = await flown(1)
    const flight = recorder.dump('asked')
    const text = JSON.stringify(flight).replaceAll('"active":["backingOff"]', '"active":["gaveUp"]')
    const differing = replayed(JSON.parse(text) as Flight).filter(({ recorded }) => recorded !== undefined)
    expect(differing).toMatchObject([
      { actor: 'source:orders', event: 'link.lost', after: 'backingOff', recorded: 'gaveUp' },
    ])
  })

  it('a file that is no dump is refused', () => {
    const file = join(folder, 'a.json')
    writeFileSync(file, '{}')
    expect(() => replay(file)).toThrow('no dump')
    expect(() => replay(join(folder, 'nothing'))).toThrow('could not be read')
  })

  it('a brief that throws harms no machine', async () => {
    const recorder = createRecorder({
      name: 'test',
      version: '1',
      serialize: createSerializer(createRedaction()),
      definitions: createDefinitions(),
      brief: () => {
        throw new Error('no')
      },
    })
    const actor = createActor(
      recorder.record(sourceMachine.provide({ actors: { link: fromCallback(() => undefined) } })),
      {
        parent: createActor(fromCallback(() => undefined)),
        input: { name: 'a', kind: 'queue.event', credit: { events: 1, bytes: 1 } },
      },
    )
    actor.start()
    actor.send({ type: 'link.connected' })
    expect(actor.getSnapshot().value).toBe('waiting')
  })
})

describe('dumps', () => {
  it('are written at a crash before it returns, readable by their owner alone, the newest twenty', () => {
    const flights = createFlights(newRecorder(), log, folder)
    for (let i = 0; i < 25; i++) {
      writeFileSync(join(folder, `2020-01-01-${i}.json`), '{}')
    }
    flights.crashed(Object.assign(new Error('the end'), { password: 'marker-77aa' }))
    const files = readdirSync(folder).sort()
    expect(files).toHaveLength(20)
    const file = join(folder, files.at(-1) ?? '')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const flight = JSON.parse(readFileSync(file, 'utf8')) as Flight
    expect(flight).toMatchObject({ reason: 'crash', about: { $: 'error', message: 'the end' } })
    expect(JSON.stringify(flight)).not.toContain('marker-77aa')
  })

  it('are written once for many events that are parked together', async () => {
    const flights = createFlights(newRecorder(), log, folder)
    for (let i = 0; i < 100; i++) flights.parked('orders')
    const [file = ''] = await until(() => (readdirSync(folder).length > 0 ? readdirSync(folder) : undefined))
    expect(readdirSync(folder)).toHaveLength(1)
    expect(JSON.parse(readFileSync(join(folder, file), 'utf8'))).toMatchObject({
      reason: 'parked',
      about: { source: 'orders' },
    })
  })
})
