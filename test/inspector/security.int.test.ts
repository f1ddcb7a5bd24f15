import { request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { createInspector } from '../../inspector/index.ts'
import { until } from '../support/until.ts'
import { counting, inspected, openViewer, refusedWith, stopAll } from './support.ts'

afterEach(stopAll)

const token = 'operate-token-of-at-least-32-characters'
const readToken = 'read-token-of-at-least-thirty-two-characters'
const bearer = (given: string) => ({ headers: { authorization: `Bearer ${given}` } })
const signIn = (page: string, given: unknown) =>
  fetch(`${page}session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: given }),
  })
const cookieOf = (response: Response): string => (response.headers.get('set-cookie') ?? '').split(';')[0] ?? ''

const get = (
  page: string,
  path: string,
  headers: Record<string, string>,
  more: string[] = [],
): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const asked = request(
      new URL(path, page),
      { headers: [...Object.entries(headers).flat(), ...more], agent: false, setHost: false },
      (response) => {
        response.resume()
        resolve(response.statusCode)
      },
    )
    asked.on('error', reject).end()
  })

describe('who may look', () => {
  it('an address beyond loopback is refused without a token, and a short token anywhere', () => {
    expect(() => createInspector({ port: 0, host: '0.0.0.0' })).toThrow('only with a token')
    expect(() => createInspector({ port: 0, token: 'short' })).toThrow('at least 32')
  })

  it('no token, a wrong one, one in the address: 401, for sockets and for everything that is not the page', async () => {
    const { page } = await inspected(counting(), { token })
    expect(await refusedWith(page)).toBe(401)
    expect(await refusedWith(page, bearer(`${token}x`))).toBe(401)
    expect(await refusedWith(page, {}, `ws?token=${token}`)).toBe(401)
    expect(await refusedWith(page, { headers: { cookie: `koksmat_inspector=operate.9999999999999.x.y` } })).toBe(401)
    for (const path of ['session', 'definitions/a.json', 'flight']) {
      expect((await fetch(page + path)).status).toBe(401)
    }
    expect((await fetch(`${page}ticket`, { method: 'POST' })).status).toBe(401)
    expect((await signIn(page, 'wrong')).status).toBe(401)
    expect((await signIn(page, { $ne: 1 })).status).toBe(401)
  })

  it('a foreign Host is 421, a foreign Origin 403, two Hosts 400: for sockets and requests, with the token', async () => {
    const { page } = await inspected(counting(), { token })
    const { authorization } = bearer(token).headers
    const host = new URL(page).host
    for (const path of ['session', 'ws', '']) {
      expect(await get(page, path, { host: 'evil.example', authorization })).toBe(421)
      expect(await get(page, path, { host, authorization }, ['host', host])).toBe(400)
      expect(await get(page, path, { host, authorization, origin: 'http://evil.example' })).toBe(403)
      expect(await get(page, path, { host, authorization, origin: 'null' })).toBe(403)
    }
    expect(await refusedWith(page, { headers: { authorization, host: 'evil.example' } })).toBe(421)
    expect(await refusedWith(page, { ...bearer(token), origin: 'http://evil.example' })).toBe(403)
    expect(await refusedWith(page, { ...bearer(token), origin: `http://${host}.evil.example` })).toBe(403)
    expect(await refusedWith(page, { ...bearer(token), origin: `http://${host}` })).toBe(101)
  })

  it('a token becomes a cookie that scripts cannot read and other sites do not send, and it ends with sign-out', async () => {
    const { page } = await inspected(counting(), { token, readToken })
    const response = await signIn(page, readToken)
    expect(response.status).toBe(204)
    expect(response.headers.get('set-cookie')).toMatch(/; Path=\/inspector; HttpOnly; SameSite=Strict; Max-Age=\d+$/)
    const cookie = cookieOf(response)
    expect(cookie).not.toContain(readToken)
    const session = await fetch(`${page}session`, { headers: { cookie } })
    expect(await session.json()).toEqual({ role: 'read', token: true })
    const viewer = await openViewer(page, { headers: { cookie } })
    expect((await viewer.hello()).role).toBe('read')
    const forged = cookie.replace('=read.', '=operate.')
    expect((await fetch(`${page}session`, { headers: { cookie: forged } })).status).toBe(401)
    const out = await fetch(`${page}session`, { method: 'DELETE', headers: { cookie } })
    expect(out.headers.get('set-cookie')).toContain('Max-Age=0')
    expect(await viewer.closed).toBe(4001)
  })

  it('a session outlives a restart with the same token, and no change of it', async () => {
    const before = await inspected(counting(), { token })
    const cookie = cookieOf(await signIn(before.page, token))
    const same = await inspected(counting(), { token })
    expect((await fetch(`${same.page}session`, { headers: { cookie } })).status).toBe(200)
    const changed = await inspected(counting(), { token: `${token}2` })
    expect((await fetch(`${changed.page}session`, { headers: { cookie } })).status).toBe(401)
  })

  it('a client without headers uses a subprotocol, which is not echoed, or a ticket, which is good once', async () => {
    const { page } = await inspected(counting(), { token })
    const viewer = await openViewer(page, {}, ['koksmat.v1', `bearer.${token}`])
    expect((await viewer.hello()).role).toBe('operate')
    expect(viewer.socket.protocol).toBe('koksmat.v1')
    const issued = await fetch(`${page}ticket`, { method: 'POST', ...bearer(token) })
    const { ticket } = (await issued.json()) as { ticket: string }
    expect(await refusedWith(page, {}, `ws?ticket=${ticket}`)).toBe(101)
    expect(await refusedWith(page, {}, `ws?ticket=${ticket}`)).toBe(401)
  })

  it('a ninth viewer is 503, and a seat that was left is free', async () => {
    const { page } = await inspected(counting())
    const viewers = await Promise.all(Array.from({ length: 8 }, () => openViewer(page)))
    expect(await refusedWith(page)).toBe(503)
    await viewers[3]?.close()
    await until(async () => (await refusedWith(page)) === 101)
  })

  it('every answer has a strict policy and is not sniffed, framed or cached', async () => {
    const { page } = await inspected(counting(), { token })
    const { headers } = await fetch(`${page}session`)
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; script-src 'self';.*frame-ancestors 'none'$/,
    )
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-powered-by')).toBeNull()
    expect(headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('who may act', () => {
  it('a read role’s hand-made commands are refused, and nothing happens', async () => {
    const actor = counting()
    const { page } = await inspected(actor, { token, readToken })
    const viewer = await openViewer(page, bearer(readToken))
    const { sessionId } = actor
    const send = await viewer.ask({ type: 'send', sessionId, event: { type: 'add' } })
    expect(send).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } })
    const control = await viewer.ask({ type: 'control', command: { name: 'drain' }, confirm: 'drain' })
    expect(control).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } })
    expect(actor.getSnapshot().context.count).toBe(0)
    expect(await viewer.ask({ type: 'snapshot', sessionId })).toMatchObject({ ok: true, result: { value: 'on' } })
  })

  it('an operator’s event has its effect, an ack and an audit line without payload; what cannot be sent has none', async () => {
    const actor = counting()
    const audited: object[] = []
    const log = { info: (fields: object) => void audited.push(fields), warn: () => undefined }
    const { page } = await inspected(actor, { token, log })
    const viewer = await openViewer(page, bearer(token))
    const { sessionId } = actor
    expect(await viewer.ask({ type: 'send', sessionId, event: { type: 'add', by: 'payload' } })).toMatchObject({
      ok: true,
    })
    expect(actor.getSnapshot().context.count).toBe(1)
    expect(audited).toEqual([
      expect.objectContaining({ command: 'send', to: 'counting', event: 'add', by: 'inspector', address: '127.0.0.1' }),
    ])
    expect(JSON.stringify(audited)).not.toContain('payload')
    const codes = await Promise.all([
      viewer.ask({ type: 'send', sessionId, event: { type: 'xstate.stop' } }),
      viewer.ask({ type: 'send', sessionId: 'x:nobody', event: { type: 'add' } }),
      viewer.ask({ type: 'send', sessionId, event: { by: 1 } }),
      viewer.ask({ type: 'control', command: { name: 'drain' } }),
      viewer.ask({ type: 'control', command: { name: 'constructor' } }),
      viewer.ask({ type: 'teleport' }),
    ])
    expect(codes.map((ack) => (ack.ok ? '' : ack.error.code))).toEqual([
      'REFUSED',
      'NO_ACTOR',
      'MALFORMED',
      'UNSUPPORTED',
      'MALFORMED',
      'MALFORMED',
    ])
    expect(actor.getSnapshot().status).toBe('active')
    expect(audited).toHaveLength(1)
  })

  it('drain, and redrive and drop of all that matches, want their name typed', async () => {
    const done: unknown[] = []
    const { view } = await inspected(counting(), {
      service: {
        status: () => Promise.reject(new Error('no status here')),
        commands: ['drain', 'redrive', 'drop'],
        control: async (command, who) => void done.push([command.name, who.by]),
        parked: async () => ({ events: [], counts: {} }),
        parkedEvent: async () => undefined,
      },
    })
    const viewer = await view()
    const all = { name: 'redrive', filter: { source: 'orders' } }
    expect(await viewer.ask({ type: 'control', command: { name: 'drain' } })).toMatchObject({
      error: { code: 'CONFIRM', expected: 'drain' },
    })
    expect(await viewer.ask({ type: 'control', command: all, confirm: 'yes' })).toMatchObject({
      error: { code: 'CONFIRM', expected: 'redrive' },
    })
    expect(done).toEqual([])
    expect(await viewer.ask({ type: 'control', command: all, confirm: 'redrive' })).toMatchObject({ ok: true })
    const some = { name: 'drop', filter: { seqs: ['1'] } }
    expect(await viewer.ask({ type: 'control', command: some })).toMatchObject({ ok: true })
    expect(done).toEqual([
      ['redrive', 'inspector'],
      ['drop', 'inspector'],
    ])
    expect(await viewer.ask({ type: 'parkedEvent', seq: '9' })).toMatchObject({ error: { code: 'NO_EVENT' } })
  })
})

describe('what a client sends or does not read', () => {
  it('malformed frames are answered, binary and oversize ones too or cut off, and the actors go on', async () => {
    const actor = counting()
    const { view, inspector } = await inspected(actor)
    const viewer = await view()
    for (const text of [
      '{',
      'null',
      '[]',
      '"a"',
      '{"type":"watch"}',
      '{"__proto__":{"type":"watch"},"id":"1"}',
      `${'['.repeat(20_000)}`,
    ]) {
      viewer.sayText(text)
    }
    await until(() => viewer.heard('ack').length === 7)
    expect(viewer.heard('ack').every((ack) => !ack.ok && ack.error.code === 'MALFORMED')).toBe(true)
    viewer.socket.send(Buffer.from([0, 255]))
    await until(() => viewer.heard('ack').length === 8)
    viewer.sayText(JSON.stringify({ type: 'snapshot', id: '1', sessionId: 'x'.repeat(70_000) }))
    expect(await viewer.closed).toBe(1009)
    await until(() => inspector.viewers() === 0)
    actor.send({ type: 'add' })
    expect(actor.getSnapshot().context.count).toBe(1)
    expect((await (await view()).hello()).v).toBe(1)
  })

  it('more than 200 frames in a second end the talk', async () => {
    const { view } = await inspected(counting())
    const viewer = await view()
    for (let i = 0; i < 500; i++) viewer.sayText('{')
    expect(await viewer.closed).toBe(1008)
  })

  it('a handshake that is none is refused and leaves nothing behind', async () => {
    const { page, inspector } = await inspected(counting())
    const { hostname, port, host } = new URL(page)
    const socket = connect(Number(port), hostname)
    socket.write(`GET /inspector/ws HTTP/1.1\r\nhost: ${host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`)
    const said = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))))
    expect(said).toMatch(/^HTTP\/1\.1 400/)
    socket.destroy()
    expect(await refusedWith(page, {}, 'nothing')).toBe(404)
    expect(inspector.viewers()).toBe(0)
  })

  it('a viewer that never reads is cut at 2 MB, and another one goes on', async () => {
    const actor = counting()
    const { view, inspector } = await inspected(actor)
    const [deaf, other] = [await view(), await view()]
    deaf.watch({ events: 'all' })
    other.watch({ states: true })
    await until(() => inspector.observers() === 1)
    deaf.socket.pause()
    const by = 'x'.repeat(2_000)
    let rounds = 0
    await until(async () => {
      for (let i = 0; i < 400; i++) actor.send({ type: 'add', by })
      rounds++
      await sleep(0)
      return inspector.viewers() === 1
    }, 30_000)
    expect(rounds).toBeGreaterThan(1)
    expect(actor.getSnapshot().context.count).toBe(rounds * 400)
    expect(inspector.observers()).toBe(1)
    deaf.socket.resume()
    deaf.socket.terminate()
    expect((await other.ask({ type: 'snapshot', sessionId: actor.sessionId })).ok).toBe(true)
  })
})
