import { request } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { ControllerError } from '../../machines/errors.ts'
import type { ParkedFilter } from '../../machines/journal.ts'
import type { Tokens } from '../../src/admin/guard.ts'
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
  jobs: { running: 0, waiting: 0, list: [], long: [] },
  locks: {},
}

let stop: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(stop.map((close) => close()))
  stop = []
})

const started = async (given: { tokens?: Tokens; target?: Partial<AdminTarget> } = {}) => {
  const filters: ParkedFilter[] = []
  const commands: unknown[] = []
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
    },
    graph: () => [],
    control: {
      perform: async (command, who) => {
        commands.push([command, who.by])
        return { command: command.name }
      },
      audit: (command, _who, outcome, { reason }) => void audited.push([command, outcome, reason]),
    },
    ...given.target,
  }
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
  const server = await startAdmin({ host: '127.0.0.1', port: 0, tokens: given.tokens ?? {}, target, log })
  stop.push(server.close)
  const base = `http://127.0.0.1:${server.port}`
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(base + path, init)
    const text = await response.text()
    const json = response.headers.get('content-type')?.includes('json') === true
    return { status: response.status, body: json && text !== '' ? JSON.parse(text) : text }
  }
  const control = (body: unknown, bearer?: string) =>
    ask('/control', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      },
      body: JSON.stringify(body),
    })
  return { server, ask, control, filters, commands, audited }
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
    const { ask } = await started({ tokens: { operate: token } })
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

describe('commands', () => {
  it('are passed on as they were asked for, with who asked, and their result is the answer', async () => {
    const { control, commands } = await started()
    const all = [
      { name: 'pause', source: 'orders' },
      { name: 'credit', source: 'orders', events: 9 },
      { name: 'redrive', filter: { seqs: ['1'], limit: 1_000 } },
      { name: 'editAndRedrive', seq: '7', data: { a: [1, null] } },
      { name: 'logLevel', level: 'debug' },
      { name: 'rotateSecret', source: 'github' },
    ]
    for (const command of all) {
      expect(await control(command)).toEqual({ status: 200, body: { command: command.name } })
    }
    expect(commands).toEqual(all.map((command) => [command, 'admin']))
  })

  it('that are not one get 422, and nothing is done', async () => {
    const { control, commands } = await started()
    for (const body of [
      {},
      { name: 'explode' },
      { name: 'pause' },
      { name: 'pause', source: 'orders', colour: 'red' },
      { name: 'credit', source: 'orders', events: 0 },
      { name: 'credit', source: 'orders', events: 10_001 },
      { name: 'redrive', filter: { limit: 1_001 } },
      { name: 'logLevel', level: 'loud' },
    ]) {
      expect(await control(body)).toMatchObject({ status: 422, body: { title: 'Not possible' } })
    }
    expect(commands).toEqual([])
  })

  it('that hit many or end the controller want a typed confirmation, and are on record without it', async () => {
    const { control, commands, audited } = await started()
    const filter = { code: 'HANDLER_FAILED' }
    for (const command of [{ name: 'drain' }, { name: 'redrive', filter }, { name: 'drop', filter }]) {
      for (const confirm of [{}, { confirm: 'yes' }]) {
        expect(await control({ ...command, ...confirm })).toMatchObject({ status: 409 })
      }
    }
    expect(audited).toEqual(
      ['drain', 'drain', 'redrive', 'redrive', 'drop', 'drop'].map((name) => [name, 'refused', 'not confirmed']),
    )
    expect(commands).toEqual([])
    expect((await control({ name: 'drain', confirm: 'drain' })).status).toBe(202)
    expect((await control({ name: 'drop', filter, confirm: 'drop' })).status).toBe(200)
  })

  it('are refused to a token that may only read, which is on record; without any token everybody may operate', async () => {
    const read = 'another-token-of-thirty-two-characters'
    const { ask, control, commands, audited } = await started({ tokens: { operate: token, read } })
    const pause = { name: 'pause', source: 'orders' }
    expect((await control(pause)).status).toBe(401)
    expect((await control(pause, read)).status).toBe(403)
    expect([commands, audited]).toEqual([[], [['control', 'refused', 'its token may only read']]])
    expect((await ask('/status', { headers: { authorization: `Bearer ${read}` } })).status).toBe(200)
    expect((await control(pause, token)).status).toBe(200)
    const nobody = await started({ tokens: { read } })
    expect((await nobody.control(pause, token)).status).toBe(401)
    expect((await nobody.control(pause, read)).status).toBe(403)
  })

  it('that the controller refuses get 409 or 422, and 503 while the journal does not answer', async () => {
    for (const [code, answer] of [
      ['COMMAND_REFUSED', 409],
      ['COMMAND_INVALID', 422],
      ['JOURNAL_UNAVAILABLE', 503],
    ] as const) {
      const perform = async (): Promise<never> => {
        throw new ControllerError(code, 'The controller is draining.')
      }
      const { control } = await started({ target: { control: { perform, audit: () => undefined } } })
      expect((await control({ name: 'pause', source: 'orders' })).status).toBe(answer)
    }
  })
})

describe('the protocol', () => {
  it('takes a command only with POST and JSON', async () => {
    const { ask, commands } = await started()
    expect((await ask('/control')).status).toBe(405)
    expect((await ask('/control', { method: 'POST', body: '{"name":"drain","confirm":"drain"}' })).status).toBe(415)
    expect(commands).toEqual([])
  })

  it('refuses a body that is too large or no JSON', async () => {
    const { ask, control } = await started()
    expect((await control({ a: 'x'.repeat(70_000) })).status).toBe(413)
    const headers = { 'content-type': 'application/json' }
    expect((await ask('/control', { method: 'POST', headers, body: '{' })).status).toBe(400)
  })

  it('says PORT_IN_USE where another listens', async () => {
    const { server } = await started()
    const nothing = (): void => undefined
    const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
    const target = {} as AdminTarget
    const again = startAdmin({ host: '127.0.0.1', port: server.port, tokens: {}, target, log })
    await expect(again).rejects.toMatchObject({ code: 'PORT_IN_USE' })
  })
})
