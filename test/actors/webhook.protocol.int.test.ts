import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { unsigned } from '../../actors/webhook/signatures/credentials.ts'
import { github, stripe } from '../../actors/webhook/signatures/hmac.ts'
import { until } from '../support/until.ts'
import {
  defaults,
  head,
  open,
  type Started,
  type StartOptions,
  secret,
  sign,
  startWebhook,
  statusOf,
} from './webhook.support.ts'

/** Every row of the reply table, over real sockets. */

const started: Started[] = []
const start = async (options?: StartOptions): Promise<Started> => {
  const webhook = await startWebhook(options)
  started.push(webhook)
  return webhook
}
afterEach(async () => {
  await Promise.all(started.splice(0).map(({ link }) => link.disconnect()))
})

const problemOf = async (response: Response): Promise<Record<string, unknown>> => {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const problem = (await response.json()) as Record<string, unknown>
  expect(problem).toMatchObject({ type: 'about:blank', status: response.status, title: expect.any(String) })
  expect(JSON.stringify(problem)).not.toMatch(/\bat .*\.ts:/)
  return problem
}

describe('accepted', () => {
  test('a request is answered 202 with the id of its event only after it is durable, and handed over', async () => {
    const { post, intake, deliveries } = await start({ id: 'X-Id' })
    const commit = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    intake.before = () => {
      begun.resolve()
      return commit.promise
    }
    const order: string[] = []
    const answer = post('{"n":1}', { headers: { 'x-id': 'event-1' } }).finally(() => order.push('answered'))
    await begun.promise
    expect(deliveries()).toHaveLength(0)
    order.push('committed')
    commit.resolve()
    const response = await answer
    const { status, headers } = response
    expect(order).toEqual(['committed', 'answered'])
    expect(status).toBe(202)
    expect(await response.json()).toEqual({ id: 'event-1' })
    expect(headers.get('x-powered-by')).toBeNull()
    expect(headers.get('etag')).toBeNull()
    expect(deliveries()).toMatchObject([
      {
        event: {
          id: 'event-1',
          identified: true,
          type: 'test.happened',
          data: { n: 1 },
          kind: 'webhook.event',
          via: 'test',
        },
        bytes: 7,
        redelivered: false,
        row: { attempts: 0 },
      },
    ])
    expect(intake.arrivals[0]?.json).toBe('{"n":1}')
  })

  test('a repeat of an event is answered 200 as a duplicate and not handed over again', async () => {
    const { post, deliveries } = await start({ id: 'x-id' })
    await post('{}', { headers: { 'x-id': 'event-1' } })
    const again = await post('{}', { headers: { 'x-id': 'event-1' } })
    expect(again.status).toBe(200)
    expect(await again.json()).toEqual({ id: 'event-1', duplicate: true })
    expect(deliveries()).toHaveLength(1)
  })

  test('an event without an id of its own gets a random one and says so', async () => {
    const { post, deliveries } = await start()
    const [one, two] = await Promise.all([post('{}'), post('{}')])
    expect([one.status, two.status]).toEqual([202, 202])
    expect(new Set(deliveries().map(({ event }) => event.id)).size).toBe(2)
    expect(deliveries().every(({ event }) => !event.identified)).toBe(true)
  })

  test('a chunked body is taken', async () => {
    const { raw, deliveries } = await start()
    const answer = await raw(
      `${head('{"n":1}', 'Transfer-Encoding: chunked', 'Connection: close')}3\r\n{"n\r\n4\r\n":1}\r\n0\r\n\r\n`,
    )
    expect(statusOf(answer)).toBe(202)
    expect(deliveries()[0]?.event.data).toEqual({ n: 1 })
  })

  test('a sender that asks before sending is told to go on, or refused before it sends', async () => {
    const { raw } = await start({ maxBodyBytes: 100 })
    const asked = await raw(
      `${head('{}', 'Content-Length: 2', 'Expect: 100-continue', 'Connection: close')}`,
      /Continue/,
    )
    expect(asked).toMatch(/^HTTP\/1\.1 100 Continue/)
    const refused = await raw(head('{}', 'Content-Length: 101', 'Expect: 100-continue'))
    expect(statusOf(refused)).toBe(413)
  })
})

describe('refused for what it says', () => {
  test.each([
    ['malformed JSON', '{"n":'],
    ['an empty body', ''],
    ['invalid UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['__proto__', '{"__proto__":{"admin":true}}'],
    ['JSON of 65 levels', '['.repeat(65) + ']'.repeat(65)],
  ])('%s with a good signature is answered 400 and not kept', async (_name, body) => {
    const { port, intake } = await start()
    const response = await fetch(`http://127.0.0.1:${port}${defaults.path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', 'x-signature': sign(body) },
    })
    expect(response.status).toBe(400)
    expect(await problemOf(response)).toMatchObject({ code: 'EVENT_MALFORMED' })
    expect(intake.arrivals).toHaveLength(0)
  })

  test('a missing and a forged signature are answered with the same 401, before anything is parsed', async () => {
    const { port, post, refusals, intake } = await start()
    const url = `http://127.0.0.1:${port}${defaults.path}`
    const missing = await fetch(url, { method: 'POST', body: '{"n":', headers: { 'content-type': 'application/json' } })
    const forged = await post('{"n":', { headers: { 'x-signature': sign('{}') } })
    expect([missing.status, forged.status]).toEqual([401, 401])
    expect(missing.headers.get('www-authenticate')).toBe(forged.headers.get('www-authenticate'))
    expect(await problemOf(missing)).toEqual(await problemOf(forged))
    expect([...refusals]).toEqual([
      ['missing', 1],
      ['forged', 1],
    ])
    expect(intake.arrivals).toHaveLength(0)
  })

  test('an unknown path is answered 404, a wrong method 405 with what is allowed', async () => {
    const { post } = await start()
    const unknown = await post('{}', { path: '/hooks/other' })
    expect(unknown.status).toBe(404)
    await problemOf(unknown)
    for (const path of ['/hooks/test/', '/HOOKS/test', '//hooks/test', '/hooks/%74est']) {
      expect((await post('{}', { path })).status).toBe(404)
    }
    const wrong = await post('{}', { method: 'PUT' })
    expect(wrong.status).toBe(405)
    expect(wrong.headers.get('allow')).toBe('POST')
    await problemOf(wrong)
  })

  test('a body without a length is answered 411', async () => {
    const { raw } = await start()
    expect(statusOf(await raw(head('', 'Connection: close')))).toBe(411)
  })

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=utf-16',
    'application/cloudevents-batch+json',
  ])('the media type %s is answered 415', async (type) => {
    const { post } = await start()
    const response = await post('{}', { headers: { 'content-type': type } })
    expect(response.status).toBe(415)
    await problemOf(response)
  })

  test.each(['application/json; charset=utf-8', 'application/vnd.sender.v1+json'])(
    'the media type %s is taken',
    async (type) => {
      const { post } = await start()
      expect((await post('{}', { headers: { 'content-type': type } })).status).toBe(202)
    },
  )

  test('a body without a media type is answered 415', async () => {
    const { raw } = await start()
    const request = head('{}', 'Content-Length: 2', 'Connection: close').replace(/Content-Type.*\r\n/, '')
    expect(statusOf(await raw(`${request}{}`))).toBe(415)
  })

  test('an encoded body is answered 415 and never inflated', async () => {
    const { post } = await start()
    const response = await post('{}', { headers: { 'content-encoding': 'gzip' } })
    expect(response.status).toBe(415)
    expect(response.headers.get('accept-encoding')).toBe('identity')
  })

  test('an expectation nobody knows is answered 417', async () => {
    const { raw } = await start()
    expect(statusOf(await raw(head('{}', 'Content-Length: 2', 'Expect: coffee', 'Connection: close')))).toBe(417)
  })
})

describe('bounds', () => {
  test('a body declared too large is answered 413 before it is sent, and the connection closed', async () => {
    const { raw } = await start({ maxBodyBytes: 1_000 })
    const answer = await raw(head('', 'Content-Length: 1001'))
    expect(statusOf(answer)).toBe(413)
    expect(answer).toMatch(/connection: close/i)
  })

  test('an endless chunked body is answered 413 at the limit and cut, without keeping what comes', async () => {
    const { port } = await start({ maxBodyBytes: 65_536 })
    const socket = open(port)
    let answer = ''
    let closed = false
    let sent = 0
    let refusedAt = 0
    socket.on('data', (data) => {
      answer += data.toString()
      refusedAt ||= sent
    })
    socket.on('close', () => (closed = true))
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    const pump = (): void => {
      while (!closed && socket.write(chunk)) sent += 0x4000
    }
    socket.on('drain', pump)
    socket.write(head('', 'Transfer-Encoding: chunked'))
    pump()
    await until(() => closed)
    expect(statusOf(answer)).toBe(413)
    expect(refusedAt).toBeGreaterThanOrEqual(65_536)
  })

  test('a sender of 10 MB reads the 413 that refuses it', async () => {
    const { post } = await start()
    const response = await post('x'.repeat(10_000_000))
    expect(response.status).toBe(413)
    await problemOf(response)
  })

  test('a sender that is refused early may finish sending, and is not reset while it does', async () => {
    const { port } = await start({ maxBodyBytes: 1_000 })
    // Keeps its own side open, as a sender that writes before it reads does.
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let answer = ''
    let ended = false
    let reset: Error | undefined
    socket.on('error', (error) => {
      reset = error
    })
    socket.on('end', () => {
      ended = true
    })
    socket.on('data', (data) => {
      answer += data
    })
    socket.write(head('', 'Content-Length: 1200'))
    await until(() => statusOf(answer) === 413)
    for (let part = 0; part < 12; part++) {
      await new Promise<void>((resolve) => void socket.write('x'.repeat(100), () => setImmediate(resolve)))
    }
    await until(() => ended || reset !== undefined)
    socket.destroy()
    expect(reset).toBeUndefined()
  })

  test('all bodies being read together hold no more than the credit in bytes', async () => {
    const { raw, port, refusals } = await start({ creditBytes: 100_000 })
    const slow = open(port)
    slow.write(head('', 'Content-Length: 90000'))
    slow.write('x'.repeat(80_000))
    await until(async () => {
      const body = 'x'.repeat(50_000)
      return statusOf(await raw(head(body, `Content-Length: ${body.length}`, 'Connection: close') + body)) === 503
    })
    expect(refusals.get('memory')).toBeGreaterThan(0)
    slow.destroy()
    await until(async () => statusOf(await raw(`${head('{}', 'Content-Length: 2', 'Connection: close')}{}`)) === 202)
  })

  test('headers that are too large are answered 431', async () => {
    const { raw } = await start()
    const answer = await raw(head('{}', `X-Large: ${'x'.repeat(20_000)}`))
    expect(statusOf(answer)).toBe(431)
    expect(answer).toMatch(/application\/problem\+json/)
    expect(answer).toMatch(/connection: close/i)
  })

  test('a body that comes too slowly is answered 408 and cut', async () => {
    const { raw, intake } = await start({ timeoutMs: 200 })
    const answer = await raw(`${head('{}', 'Content-Length: 2')}{`)
    expect(statusOf(answer)).toBe(408)
    expect(answer).toMatch(/connection: close/i)
    expect(intake.arrivals).toHaveLength(0)
  })

  test('a head that comes too slowly, or not at all, is answered 408 and cut', async () => {
    const { raw } = await start({ headersTimeoutMs: 200 })
    const answers = await Promise.all([raw('POST /hooks/test HTTP/1.1\r\nHo'), raw('')])
    expect(answers.map(statusOf)).toEqual([408, 408])
  })

  test('a sender that leaves before the end of its body leaves no event, even if what came could be one', async () => {
    const { port, intake, raw } = await start({ signature: unsigned() })
    const socket = open(port).resume()
    socket.write(`${head('{}', 'Content-Length: 7')}{}`)
    socket.end()
    await until(() => socket.destroyed)
    await raw(`${head('{"n":2}', 'Content-Length: 7', 'Connection: close')}{"n":2}`)
    expect(intake.arrivals.map(({ event }) => event.data)).toEqual([{ n: 2 }])
  })

  test('requests over the rate are answered 429 with when to come again', async () => {
    const { post } = await start({ rate: { perSecond: 0.1, burst: 2 } })
    expect((await post('{}')).status).toBe(202)
    expect((await post('{}')).status).toBe(202)
    const refused = await post('{}')
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(9)
    await problemOf(refused)
  })
})

describe('shapes that two readers could understand differently', () => {
  const rest = 'Content-Length: 2\r\n\r\n{}'
  const first = `POST ${defaults.path} HTTP/1.1\r\n`
  const common = `Content-Type: application/json\r\nX-Signature: ${sign('{}')}\r\n`
  test.each([
    ['two Host headers', `${first}Host: a\r\nHost: a\r\n${common}${rest}`],
    ['no Host header', `${first}${common}${rest}`],
    ['Content-Length and Transfer-Encoding', `${first}Host: a\r\n${common}Transfer-Encoding: chunked\r\n${rest}`],
    ['two Content-Lengths', `${first}Host: a\r\n${common}Content-Length: 2\r\n${rest}`],
    ['a list of lengths', `${first}Host: a\r\n${common}Content-Length: 2, 2\r\n\r\n{}`],
    ['a signed length', `${first}Host: a\r\n${common}Content-Length: +2\r\n\r\n{}`],
    ['a coding before chunked', `${first}Host: a\r\n${common}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['a coding after chunked', `${first}Host: a\r\n${common}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`],
    ['an unknown coding', `${first}Host: a\r\n${common}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    [
      'chunked in HTTP/1.0',
      `POST ${defaults.path} HTTP/1.0\r\nHost: a\r\n${common}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['a space before the colon', `${first}Host : a\r\n${common}${rest}`],
    ['a folded header', `${first}Host: a\r\nX-A: 1\r\n 2\r\n${common}${rest}`],
    ['bare line feeds', `${first}Host: a\r\n${common}${rest}`.replaceAll('\r\n', '\n')],
    ['a malformed chunk', `${first}Host: a\r\n${common}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n`],
    ['two media types', `${first}Host: a\r\nContent-Type: text/plain\r\n${common}${rest}`],
  ])('%s: 400, the connection is closed, and what is behind is not a request', async (_name, request) => {
    const { raw, intake } = await start()
    const smuggled = `${head('{}', 'Content-Length: 2', 'Connection: close')}{}`
    const answer = await raw(request + smuggled)
    expect(answer.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 400'])
    expect(answer).toMatch(/connection: close/i)
    expect(answer).toMatch(/application\/problem\+json/)
    expect(intake.arrivals).toHaveLength(0)
  })

  test('requests one behind the other on one connection are good, and malformed ones after them are cut', async () => {
    const { raw, intake } = await start()
    const good = `${head('{}', 'Content-Length: 2')}{}`
    const answer = await raw(`${good}${good}NONSENSE\r\n\r\n`)
    expect(answer).not.toMatch(/HTTP\/1\.1 400[\s\S]*HTTP\/1\.1 202/)
    await until(() => intake.arrivals.length === 2)
  })

  test('what is malformed behind a request that waits for its answer is not answered in its place', async () => {
    const { raw, intake } = await start()
    const begun = Promise.withResolvers<void>()
    const commit = Promise.withResolvers<void>()
    intake.before = () => {
      begun.resolve()
      return commit.promise
    }
    const answer = raw(`${head('{}', 'Content-Length: 2')}{}NONSENSE\r\n\r\n`)
    await begun.promise
    expect(await answer).toBe('')
    commit.resolve()
    await until(() => intake.arrivals.length === 1)
  })
})

describe('CloudEvents', () => {
  const binary = { 'ce-specversion': '1.0', 'ce-id': 'ce-1', 'ce-source': '/orders', 'ce-type': 'order.created' }

  test('binary mode: attributes come from the headers, percent-decoded', async () => {
    const { post, deliveries } = await start()
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const response = await post('{"n":1}', {
      headers: { ...binary, 'ce-subject': 'caf%C3%A9', 'ce-tenant': 't1', traceparent },
    })
    expect(await response.json()).toEqual({ id: 'ce-1' })
    expect(deliveries()[0]?.event).toMatchObject({
      id: 'ce-1',
      source: '/orders',
      type: 'order.created',
      subject: 'café',
      data: { n: 1 },
      traceparent,
      extensions: { tenant: 't1' },
      identified: true,
    })
  })

  test('structured mode: everything is in the body', async () => {
    const { post, deliveries } = await start()
    const event = { specversion: '1.0', id: 'ce-2', source: '/orders', type: 'order.paid', data: { n: 2 } }
    const response = await post(JSON.stringify(event), { headers: { 'content-type': 'application/cloudevents+json' } })
    expect(await response.json()).toEqual({ id: 'ce-2' })
    expect(deliveries()[0]?.event).toMatchObject({ id: 'ce-2', type: 'order.paid', data: { n: 2 }, identified: true })
  })

  test.each([
    ['another version', { ...binary, 'ce-specversion': '0.3' }],
    ['no type', { ...binary, 'ce-type': '' }],
    ['broken percent-encoding', { ...binary, 'ce-subject': '%E0%A4' }],
    ['an id that is too long', { ...binary, 'ce-id': 'x'.repeat(513) }],
    ['a NUL in the id', { ...binary, 'ce-id': 'a%00b' }],
  ])('%s is answered 400', async (_name, headers) => {
    const { post, intake } = await start()
    const response = await post('{}', { headers })
    expect(response.status).toBe(400)
    await problemOf(response)
    expect(intake.arrivals).toHaveLength(0)
  })

  test('the delivery id of a signature scheme is who the event is, not headers that nobody signed', async () => {
    const { post, deliveries } = await start({ signature: github(secret) })
    const delivery = { 'x-hub-signature-256': `sha256=${sign('{}')}`, 'x-github-delivery': 'delivery-1' }
    expect((await post('{}', { headers: delivery })).status).toBe(202)
    const again = await post('{}', { headers: { ...delivery, ...binary } })
    expect(await again.json()).toEqual({ id: 'delivery-1', duplicate: true })
    expect(deliveries()).toMatchObject([{ event: { id: 'delivery-1', identified: true } }])
  })

  test('an id inside the payload is used where the scheme knows its place', async () => {
    const { post, deliveries } = await start({ signature: stripe(secret) })
    const t = Math.floor(Date.now() / 1_000)
    const body = '{"id":"evt_1"}'
    const response = await post(body, { headers: { 'stripe-signature': `t=${t},v1=${sign(`${t}.${body}`)}` } })
    expect(await response.json()).toEqual({ id: 'evt_1' })
    expect(deliveries()).toMatchObject([{ event: { id: 'evt_1', identified: true } }])
  })

  test('without ce-specversion a request is plain, whatever its other headers are', async () => {
    const { post, deliveries } = await start()
    await post('{}', { headers: { 'ce-type': 'order.created' } })
    expect(deliveries()[0]?.event.type).toBe('test.happened')
  })
})

test('the type may be told from headers, query and body', async () => {
  const { post, deliveries } = await start({
    type: ({ header, path, query, body }) =>
      `${header('X-Kind')}.${path.split('/')[1]}.${query['v']}.${(body as { kind: string }).kind}`,
  })
  const response = await post('{"kind":"paid"}', { path: '/hooks/test?v=2', headers: { 'x-kind': 'order' } })
  expect(response.status).toBe(202)
  expect(deliveries()[0]?.event.type).toBe('order.hooks.2.paid')
})

test('a bug is answered 500 without a word from inside', async () => {
  const { post, intake } = await start()
  intake.before = async () => {
    throw new TypeError('secret detail of the inside')
  }
  const response = await post('{}')
  expect(response.status).toBe(500)
  expect(JSON.stringify(await problemOf(response))).not.toContain('secret detail')
  intake.before = async () => {}
  expect((await post('{}')).status).toBe(202)
})

test.each([
  ['to the letter', '/hooks/test', 202],
  ['with a query', '/hooks/test?v=2', 202],
  ['in absolute form', 'http://localhost/hooks/test', 202],
  ['in other letters', '/Hooks/Test', 404],
  ['with a slash more', '/hooks/test/', 404],
  ['encoded where it need not be', '/hooks/%74est', 404],
])('a target that is the path %s (%s): %s', async (_how, target, status) => {
  const { raw, deliveries } = await start()
  const answer = await raw(`${head('{}', 'Content-Length: 2', 'Connection: close').replace(defaults.path, target)}{}`)
  expect(statusOf(answer)).toBe(status)
  expect(deliveries()).toHaveLength(status === 202 ? 1 : 0)
})

test.each(['/hooks/test', '/hooks/test?v=2'])('a bug while %s is taken in is a 500', async (path) => {
  const { post, intake } = await start()
  intake.before = async () => {
    throw new TypeError('a bug')
  }
  expect((await post('{}', { path })).status).toBe(500)
})
