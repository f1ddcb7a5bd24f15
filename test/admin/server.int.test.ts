import { request } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { ControllerError } from '../../machines/errors.ts'
import type { ParkedFilter } from '../../machines/journal.ts'
import { startAdmin } from '../../src/admin/server.ts'
import type { AdminTarget } from '../../src/admin/target.ts'
import type { Status } from '../../src/status.ts'

const token = 'a-token-of-at-least-thirty-two-characters'
const status: Status = {
  name: 'test',
  version: '1.0.0',
  pid: 1,
  state: 'running',
  startedAt: '2026-01-01T00:00:00.000Z',
  sources: {},
  journal: { state: 'up' },
  jobs: { running: 0, waiting: 0, long: [] },
  locks: {},
}

let stop: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(stop.map((close) => close()))
  stop = []
})

const started = async (given: { token?: string; target?: Partial<AdminTarget> } = {}) => {
  const filters: ParkedFilter[] = []
  const drains: string[] = []
  const audited: unknown[] = []
  const nothing = (): void => undefined
  const target: AdminTarget = {
    status: async () => status,
    probes: () => ({ live: true, ready: false, started: true, why: ['source orders is backing off'] }),
    metrics: async () => 'koksmat_ready 0\n',
    parked: {
      list: async (filter) => {
        filters.push(filter)
        return []
      },
      show: async () => undefined,
      redrive: async (filter) => filters.push(filter),
      drop: async (filter) => filters.push(filter),
      counts: async () => ({}),
    },
    graph: () => [],
    drain: (reason) => drains.push(reason),
    ...given.target,
  }
  const log = { debug: nothing, info: (fields: object) => void audited.push(fields), warn: nothing, error: nothing }
  const server = await startAdmin({ host: '127.0.0.1', port: 0, token: given.token, target, log })
  stop.push(server.close)
  const base = `http://127.0.0.1:${server.port}`
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(base + path, init)
    const text = await response.text()
    const json = response.headers.get('content-type')?.includes('json') === true
    return { status: response.status, body: json && text !== '' ? JSON.parse(text) : text }
  }
  const post = (path: string, body: unknown) =>
    ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return { server, ask, post, filters, drains, audited }
}

const withHeaders = (port: number, headers: Record<string, string>): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: '/livez', headers, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.on('error', reject).end()
  })

describe('probes', () => {
  it('say 200, or 503 and why', async () => {
    const { ask } = await started()
    expect(await ask('/livez')).toEqual({ status: 200, body: { live: true, why: [] } })
    expect(await ask('/startupz')).toMatchObject({ status: 200 })
    expect(await ask('/readyz')).toEqual({ status: 503, body: { ready: false, why: ['source orders is backing off'] } })
  })

  it('are open while everything else wants the token', async () => {
    const { ask } = await started({ token })
    expect((await ask('/livez')).status).toBe(200)
    for (const path of ['/status', '/metrics', '/events', '/events/1', '/graph'])
      expect((await ask(path)).status).toBe(401)
    const as = (given: string) => ask('/status', { headers: { authorization: `Bearer ${given}` } })
    expect((await as(`${token}x`)).status).toBe(401)
    expect(await as(token)).toEqual({ status: 200, body: status })
  })
})

describe('foreign callers', () => {
  it('get 421 for a foreign Host, against DNS rebinding, and 403 for a foreign Origin', async () => {
    const { server } = await started()
    expect(await withHeaders(server.port, { host: 'evil.example' })).toBe(421)
    expect(await withHeaders(server.port, { host: 'localhost:9', origin: 'http://evil.example' })).toBe(403)
    expect(await withHeaders(server.port, { host: 'localhost:9' })).toBe(200)
  })
})

describe('parked events', () => {
  it('are listed by what the query says, and a wrong query gets 400', async () => {
    const { ask, filters } = await started()
    expect((await ask('/events?source=orders&limit=5')).body).toEqual({ events: [] })
    expect(filters).toEqual([{ source: 'orders', limit: 5 }])
    for (const query of ['limit=0', 'limit=1001', 'colour=red'])
      expect((await ask(`/events?${query}`)).status).toBe(400)
    expect((await ask('/events/7')).status).toBe(404)
  })

  it('are never changed without a word about which, and each change is audited', async () => {
    const { post, filters, audited } = await started()
    expect((await post('/events/drop', {})).status).toBe(400)
    expect((await post('/events/redrive', { limit: 10 })).status).toBe(400)
    expect(filters).toEqual([])
    expect(await post('/events/redrive', { seqs: ['1'] })).toEqual({ status: 200, body: { redriven: 1 } })
    expect(await post('/events/drop', { all: true })).toEqual({ status: 200, body: { dropped: 2 } })
    expect(filters).toEqual([{ seqs: ['1'], limit: 1000 }, { limit: 1000 }])
    expect(audited).toMatchObject([{ command: 'redrive' }, { command: 'drop' }])
  })

  it('get 503 while the journal does not answer, and no inner error is shown', async () => {
    const away = async (): Promise<never> => {
      throw new ControllerError('JOURNAL_UNAVAILABLE', 'password=secret')
    }
    const broken = async (): Promise<never> => {
      throw new Error('password=secret')
    }
    const { ask } = await started({ target: { status: away, metrics: broken } })
    expect(await ask('/status')).toMatchObject({ status: 503, body: { title: 'The journal does not answer' } })
    const metrics = await ask('/metrics')
    expect(metrics.status).toBe(500)
    expect(JSON.stringify(metrics.body)).not.toContain('secret')
  })
})

describe('the protocol', () => {
  it('begins a drain only when asked with POST and JSON', async () => {
    const { ask, post, drains } = await started()
    expect((await ask('/drain')).status).toBe(405)
    expect((await ask('/drain', { method: 'POST' })).status).toBe(415)
    expect(drains).toEqual([])
    expect((await post('/drain', {})).status).toBe(202)
    expect(drains).toEqual(['asked for on the admin port'])
  })

  it('refuses a body that is too large or no JSON', async () => {
    const { ask, post } = await started()
    expect((await post('/drain', { a: 'x'.repeat(70_000) })).status).toBe(413)
    const headers = { 'content-type': 'application/json' }
    expect((await ask('/drain', { method: 'POST', headers, body: '{' })).status).toBe(400)
  })

  it('says PORT_IN_USE where another listens', async () => {
    const { server } = await started()
    const nothing = (): void => undefined
    const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
    const target = {} as AdminTarget
    const again = startAdmin({ host: '127.0.0.1', port: server.port, token: undefined, target, log })
    await expect(again).rejects.toMatchObject({ code: 'PORT_IN_USE' })
  })
})
