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

describe('who may look', () => {
  it('an address beyond loopback is refused without a token, and a short token anywhere', () => {
    expect(() => createInspector({ port: 0, host: '0.0.0.0' })).toThrow('only with a token')
    expect(() => createInspector({ port: 0, token: 'short' })).toThrow('at least 32')
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
