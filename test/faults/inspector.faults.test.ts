import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect } from 'vitest'
import type { AnyActorRef } from 'xstate'
import { createFakeDriver } from '../../bench/support/fakeDriver.ts'
import { unusedJournal } from '../../bench/support/journal.ts'
import { handlerOf, walk } from '../../bench/support/walk.ts'
import { createInspector, type Inspector } from '../../inspector/index.ts'
import { counting, inspected, refusedWith, stopAll } from '../inspector/support.ts'
import { unshowable } from '../inspector/unshowable.ts'
import { type DrivenProcess, startProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'
import { quantile, row } from './record.ts'

/** What clients of the inspector do to it, and what the actors it shows do. */
afterEach(stopAll)

const token = 'operate-token-of-at-least-32-characters'
const bearer = (given: string) => ({ headers: { authorization: `Bearer ${given}` } })

const statusOf = (page: string, path: string, headers: readonly string[]): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    request(new URL(path, page), { headers: [...headers], agent: false, setHost: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })

const signIn = (page: string, given: unknown): Promise<Response> =>
  fetch(`${page}session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: given }),
  })

row(
  39,
  'the inspector is asked without a token, with a wrong one, and from a foreign Host or Origin',
  {
    expected: '100 % refused: 401, 421, 403, 400; for sockets and requests',
    P: { rounds: 1 },
    N: { rounds: 200 },
  },
  async ({ rounds }, { measured }) => {
    const { page, inspector } = await inspected(counting(), { token })
    const host = new URL(page).host
    const { authorization } = bearer(token).headers
    const good = ['host', host, 'authorization', authorization]
    const forged = { headers: { cookie: 'koksmat_inspector=operate.9999999999999.x.y' } }
    const statuses: Record<string, number> = {}
    const wrong: string[] = []
    const answered = (what: string, expected: number, status: number | undefined): void => {
      statuses[`answered_${status}`] = (statuses[`answered_${status}`] ?? 0) + 1
      if (status !== expected) wrong.push(`${what}: ${status} instead of ${expected}`)
    }
    for (let round = 1; round <= rounds; round++) {
      answered('a socket without a token', 401, await refusedWith(page))
      answered('a socket with a wrong token', 401, await refusedWith(page, bearer(`${token}x`)))
      answered('a socket with the token in its address', 401, await refusedWith(page, {}, `ws?token=${token}`))
      answered('a socket with a forged cookie', 401, await refusedWith(page, forged))
      for (const path of ['session', 'definitions/a.json', 'flight']) {
        answered(`${path} without a token`, 401, await statusOf(page, path, ['host', host]))
      }
      answered('a ticket without a token', 401, (await fetch(`${page}ticket`, { method: 'POST' })).status)
      for (const given of ['wrong', { $ne: 1 }]) answered('a wrong sign-in', 401, (await signIn(page, given)).status)
      for (const path of ['session', 'ws', '']) {
        const foreign = ['host', 'evil.example', 'authorization', authorization]
        answered(`${path} with a foreign Host`, 421, await statusOf(page, path, foreign))
        answered(`${path} with two Hosts`, 400, await statusOf(page, path, [...good, 'host', host]))
        for (const origin of ['http://evil.example', 'null']) {
          answered(`${path} from ${origin}`, 403, await statusOf(page, path, [...good, 'origin', origin]))
        }
      }
      const elsewhere = { headers: { authorization, host: 'evil.example' } }
      answered('a socket with a foreign Host', 421, await refusedWith(page, elsewhere))
      for (const origin of ['http://evil.example', `http://${host}.evil.example`]) {
        answered(`a socket from ${origin}`, 403, await refusedWith(page, { ...bearer(token), origin }))
      }
    }
    const viewers = inspector.viewers()
    measured({ ...statuses, viewers })
    expect(wrong).toEqual([])
    expect(viewers).toBe(0)
    expect(await refusedWith(page, { ...bearer(token), origin: `http://${host}` })).toBe(101)
  },
)

row(
  39,
  'a viewer sends malformed and oversize frames, too many of them, or a handshake that is none',
  { expected: 'answered, or cut with 1009 and 1008; the root goes on', P: { rounds: 1 }, N: { rounds: 100 } },
  async ({ rounds }, { measured }) => {
    const actor = counting()
    const { page, view, inspector } = await inspected(actor)
    const malformed = ['{', 'null', '[]', '"a"', '{"type":"watch"}', '{"__proto__":{"type":"watch"},"id":"1"}']
    const texts = [...malformed, '['.repeat(20_000)]
    const { hostname, port, host } = new URL(page)
    for (let round = 1; round <= rounds; round++) {
      const viewer = await view()
      for (const text of texts) viewer.sayText(text)
      viewer.socket.send(Buffer.from([0, 255]))
      await until(() => viewer.heard('ack').length === texts.length + 1)
      expect(viewer.heard('ack').every((ack) => !ack.ok && ack.error.code === 'MALFORMED')).toBe(true)
      viewer.sayText(JSON.stringify({ type: 'snapshot', id: '1', sessionId: 'x'.repeat(70_000) }))
      expect(await viewer.closed).toBe(1009)
      const talker = await view()
      for (let i = 0; i < 500; i++) talker.sayText('{')
      expect(await talker.closed).toBe(1008)
      const socket = connect(Number(port), hostname)
      socket.write(`GET /inspector/ws HTTP/1.1\r\nhost: ${host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`)
      const [said] = await once(socket, 'data')
      expect(String(said)).toMatch(/^HTTP\/1\.1 400/)
      socket.destroy()
      expect(await refusedWith(page, {}, 'nothing')).toBe(404)
      await until(() => inspector.viewers() === 0)
      actor.send({ type: 'add' })
    }
    measured({ rounds, framesPerRound: texts.length + 502, viewersLeft: inspector.viewers() })
    expect(actor.getSnapshot().context.count).toBe(rounds)
    expect((await (await view()).hello()).v).toBe(1)
  },
)

row(
  39,
  'a viewer of the inspector never reads',
  {
    expected: 'cut at 2 MB; another viewer goes on, and the root handles everything',
    P: { viewers: 1 },
    N: { viewers: 20 },
  },
  async ({ viewers }, { measured }) => {
    const actor = counting()
    const { view, inspector } = await inspected(actor)
    const other = await view()
    other.watch({ states: true })
    await until(() => inspector.observers() === 1)
    const by = 'x'.repeat(2_000)
    let sent = 0
    let mostHeldBytes = 0
    for (let n = 1; n <= viewers; n++) {
      const deaf = await view()
      deaf.watch({ events: 'all' })
      // Answered after the watch has begun.
      await deaf.ask({ type: 'snapshot', sessionId: actor.sessionId })
      deaf.socket.pause()
      const before = sent
      const { external, arrayBuffers } = process.memoryUsage()
      await until(async () => {
        for (let i = 0; i < 400; i++) actor.send({ type: 'add', by })
        sent += 400
        const now = process.memoryUsage()
        mostHeldBytes = Math.max(mostHeldBytes, now.external + now.arrayBuffers - external - arrayBuffers)
        await sleep(0)
        return inspector.viewers() === 1
      }, 30_000)
      expect(sent - before).toBeGreaterThan(400)
      deaf.socket.resume()
      deaf.socket.terminate()
    }
    const handled = actor.getSnapshot().context.count
    measured({ viewers, sent, handled, mostHeldMb: Math.round(mostHeldBytes / 100_000) / 10 })
    expect(handled).toBe(sent)
    expect(inspector.observers()).toBe(1)
    expect((await other.ask({ type: 'snapshot', sessionId: actor.sessionId })).ok).toBe(true)
  },
)

/** The walk of events through the controller's root without IO, with an inspector; gives its CPU time in µs. */
const walkCpu = async (events: number, clientsOf: (page: string) => Promise<DrivenProcess | undefined>) => {
  let inspector: Inspector | undefined
  const look = (root: AnyActorRef): Inspector => {
    inspector = createInspector({ port: 0, token })(root)
    return inspector
  }
  const handlers = [handlerOf(async () => undefined)]
  const driver = createFakeDriver({ events })
  const { ledger } = unusedJournal()
  const run = walk({ driver, handlers, ledger, events, look, end: async () => inspector?.close() })
  const clients = await clientsOf((await inspector?.listening) ?? '')
  try {
    const refusals = (): number => clients?.output().match(/refused 4/g)?.length ?? 0
    const [before, began] = [refusals(), process.cpuUsage()]
    await run.go()
    const { user, system } = process.cpuUsage(began)
    return { cpu: user + system, refused: refusals() - before }
  } finally {
    await clients?.end()
    await run.end()
  }
}

row(
  39,
  'hostile clients of the inspector, 50 a second, while the root is busy',
  {
    expected: 'root throughput −≤ 5 %, by the CPU time of a refusal',
    // Ten times as many as are meant, or the cost of a refusal drowns in that of the walk.
    N: { rounds: 7, events: 200_000, perSecond: 50, sentPerSecond: 500 },
    minutes: { N: 8 },
  },
  async ({ rounds, events, perSecond, sentPerSecond }, { measured }) => {
    const hostile = async (page: string): Promise<DrivenProcess> => {
      const clients = startProcess([join(import.meta.dirname, 'hostile.child.ts'), page, token, String(sentPerSecond)])
      await clients.says(/refused/)
      return clients
    }
    await walkCpu(events, async () => undefined)
    const quiet: number[] = []
    const attacked: { readonly cpu: number; readonly refused: number }[] = []
    for (let round = 1; round <= rounds; round++) {
      quiet.push((await walkCpu(events, async () => undefined)).cpu)
      attacked.push(await walkCpu(events, hostile))
    }
    const before = quantile(quiet, 0.5)
    const refusalMicros = Math.round(
      quantile(
        attacked.map(({ cpu, refused }) => (cpu - before) / refused),
        0.5,
      ),
    )
    const refused = attacked.reduce((sum, one) => sum + one.refused, 0)
    const lostPercent = Math.round((refusalMicros * perSecond) / 1_000) / 10
    measured({ rounds, refused, microsPerEvent: Math.round((10 * before) / events) / 10, refusalMicros, lostPercent })
    expect(refused).toBeGreaterThan(rounds * 100)
    expect(lostPercent).toBeLessThanOrEqual(5)
  },
)

row(
  40,
  'actors hold and events carry what cannot be shown: cycles, BigInts, throwing getters, a depth of 50,000',
  { expected: 'isolated: the root handles 10,000 of 10,000, and is still shown', P: { events: 10_000 } },
  async ({ events }, { measured }) => {
    const actor = counting()
    const { view } = await inspected(actor)
    const viewer = await view()
    viewer.watch({ events: 'all', snapshots: 'all', states: true })
    await until(() => viewer.heard('hello')[1])
    actor.send({ type: 'hold', held: unshowable() })
    const by = unshowable()
    for (let i = 0; i < events; i++) actor.send({ type: 'add', by })
    const handled = actor.getSnapshot().context.count
    measured({ events, handled })
    expect(handled).toBe(events)
    const snapshot = await until(() => viewer.of('@xstate.snapshot').at(-1))
    expect(JSON.stringify(snapshot)).toContain('{"$":"threw","message":"not now"}')
    actor.send({ type: 'off' })
    await until(() => viewer.of('transition').some(({ targets }) => targets[0] === 'off'))
  },
)
