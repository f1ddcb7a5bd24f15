import { createServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createWebhookServer } from '../../actors/webhook/server.ts'
import { createWebhookDriver } from '../../actors/webhook.ts'
import type { Answer, DriverHost } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import { until } from '../support/until.ts'
import {
  createRememberingIntake,
  defaults,
  head,
  journalDown,
  open,
  type Started,
  type StartOptions,
  silent,
  startWebhook,
  statusOf,
} from './webhook.support.ts'

/** Credit, pause, drain, waiting for handlers, and the one listener of several sources. */

const started: Started[] = []
const start = async (options?: StartOptions): Promise<Started> => {
  const webhook = await startWebhook(options)
  started.push(webhook)
  return webhook
}
afterEach(async () => {
  await Promise.all(started.splice(0).map(({ link }) => link.disconnect()))
})

const expectUnavailable = (response: Response): void => {
  expect(response.status).toBe(503)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(response.headers.get('connection')).toBe('close')
}
const whole = (body: string, ...lines: string[]): string =>
  head(body, `Content-Length: ${body.length}`, ...lines) + body
/** A request of which all but the last byte of its body has arrived, and what it is answered. */
const beginRequest = async (port: number, body: string): Promise<{ finish(): void; answer(): string }> => {
  const socket = open(port)
  let answer = ''
  socket.on('data', (data) => {
    answer += data
  })
  socket.write(whole(body, 'Expect: 100-continue').slice(0, -1))
  await until(() => answer.startsWith('HTTP/1.1 100'))
  answer = ''
  return { finish: () => void socket.write(body.slice(-1)), answer: () => answer.replace(/^[\r\n]+/, '') }
}
const receiptOf = ({ deliveries }: Started, at = 0): number => deliveries()[at]?.receipt as number

describe('503 with Retry-After and Connection: close', () => {
  test('before consume, and never a delivery', async () => {
    const { post, link, intake } = await start({ consume: false })
    expectUnavailable(await post('{}'))
    await link.consume()
    expect((await post('{}')).status).toBe(202)
    expect(intake.arrivals).toHaveLength(1)
  })

  test('while paused, however often it was paused', async () => {
    const { post, link } = await start()
    link.pause()
    link.pause()
    expectUnavailable(await post('{}'))
    link.resume()
    link.resume()
    expect((await post('{}')).status).toBe(202)
  })

  test('above the credit, until something is settled; nothing above it is made durable', async () => {
    const webhook = await start({ credit: 3 })
    const { post, link, intake, deliveries } = webhook
    const answers = await Promise.all(Array.from({ length: 20 }, () => post('{}')))
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(3)
    for (const refused of answers.filter(({ status }) => status !== 202)) expectUnavailable(refused)
    expect(intake.arrivals).toHaveLength(3)
    const [one] = deliveries()
    link.settle([{ receipt: one?.receipt as number, outcome: 'ack' }])
    link.settle([{ receipt: one?.receipt as number, outcome: 'ack' }])
    const next = await Promise.all([post('{}'), post('{}')])
    expect(next.map(({ status }) => status).toSorted()).toEqual([202, 503])
  })

  test('above the credit, also for requests that had begun to arrive when there was some', async () => {
    const { port, intake, refusals } = await start({ credit: 2 })
    const begun = await Promise.all(Array.from({ length: 5 }, () => beginRequest(port, '{}')))
    for (const { finish } of begun) finish()
    await until(() => begun.every(({ answer }) => statusOf(answer()) > 0))
    expect(begun.map(({ answer }) => statusOf(answer())).toSorted()).toEqual([202, 202, 503, 503, 503])
    expect([intake.arrivals.length, refusals.get('credit')]).toEqual([2, 3])
  })

  test('while the journal is down; the place in the credit is free again', async () => {
    const { post, intake, deliveries } = await start({ credit: 1 })
    intake.before = journalDown
    for (let i = 0; i < 3; i++) expectUnavailable(await post('{}'))
    expect(deliveries()).toHaveLength(0)
    intake.before = async () => {}
    expect((await post('{}')).status).toBe(202)
  })

  test('a duplicate takes no place in the credit', async () => {
    const { post } = await start({ credit: 2, id: 'x-id' })
    for (let i = 0; i < 5; i++) await post('{}', { headers: { 'x-id': 'same' } })
    expect((await post('{}')).status).toBe(202)
  })
})

test('what the journal commits together is handed over as one batch, never more than the credit', async () => {
  const { post, intake, batches } = await start({ credit: 5 })
  const commit = Promise.withResolvers<void>()
  let waiting = 0
  intake.before = () => {
    waiting += 1
    return commit.promise
  }
  const answers = Array.from({ length: 5 }, () => post('{}'))
  await until(() => waiting === 5)
  commit.resolve()
  await Promise.all(answers)
  expect(batches.map((batch) => batch.length)).toEqual([5])
})

describe('draining', () => {
  test('cancel lets in what is already arriving or being made durable, refuses the rest, and settle still works', async () => {
    const webhook = await start({ credit: 2 })
    const { port, post, link, intake, deliveries } = webhook
    const commit = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    intake.before = () => {
      begun.resolve()
      return commit.promise
    }
    const accepting = post('{"n":1}')
    await begun.promise
    const { finish, answer } = await beginRequest(port, '{"n":2}')
    let cancelled = false
    const cancelling = link.cancel().then(() => (cancelled = true))
    expectUnavailable(await post('{"n":3}'))
    expect(cancelled).toBe(false)
    finish()
    commit.resolve()
    await cancelling
    expect(cancelled).toBe(true)
    expect(deliveries().map(({ event }) => event.data)).toEqual([{ n: 1 }, { n: 2 }])
    const first = await accepting
    expect([first.status, first.headers.get('connection')]).toEqual([202, 'close'])
    await until(() => statusOf(answer()) === 202)
    expect(answer()).toMatch(/connection: close/i)
    link.settle(deliveries().map(({ receipt }) => ({ receipt, outcome: 'ack' })))
    expectUnavailable(await post('{"n":4}'))
    expect(deliveries()).toHaveLength(2)
  })

  test('a body that is still not there two seconds after cancel is refused, so that draining ends', async () => {
    const { port, link, refusals } = await start()
    const { answer } = await beginRequest(port, '{"n":2}')
    const at = performance.now()
    await link.cancel()
    expect(performance.now() - at).toBeLessThan(3_000)
    await until(() => statusOf(answer()) === 503)
    expect(refusals.get('draining')).toBe(1)
  })

  test('an idle connection is told to close by its next answer, and closed soon after the last path has gone', async () => {
    const { port, link } = await start()
    const idle = open(port)
    let answer = ''
    let closed = false
    idle.on('data', (data) => (answer += data))
    idle.on('close', () => (closed = true))
    idle.write(whole('{}'))
    await until(() => statusOf(answer) === 202)
    expect(answer).not.toMatch(/connection: close/i)
    answer = ''
    const gone = link.disconnect()
    idle.write(whole('{}'))
    await until(() => statusOf(answer) === 503)
    expect(answer).toMatch(/connection: close/i)
    await gone
    await until(() => closed)
  })

  test('100 clients that are slow with their head, their body or their reading are cut, and disconnect ends in time', async () => {
    const { port, link } = await start()
    const sockets = Array.from({ length: 100 }, () => open(port))
    let connected = 0
    let closed = 0
    for (const [i, socket] of sockets.entries()) {
      socket.on('connect', () => (connected += 1))
      socket.on('close', () => (closed += 1))
      if (i % 3 !== 0) socket.resume()
      socket.write([whole('{}'), 'POST /hooks/test HTTP/1.1\r\nHo', whole('{"n":1}').slice(0, -1)][i % 3] as string)
    }
    await until(() => connected === 100)
    expect(closed).toBe(0)
    const at = performance.now()
    await link.disconnect()
    expect(performance.now() - at).toBeLessThan(2_500)
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow()
    for (const socket of sockets) socket.destroy()
  })

  test('shedding: answers close their connection while requests are still taken', async () => {
    const { post, server } = await start()
    expect((await post('{}')).headers.get('connection')).not.toBe('close')
    server.shed()
    const response = await post('{}')
    expect([response.status, response.headers.get('connection')]).toEqual([202, 'close'])
  })

  test('disconnect is legal at any time and twice, and cancel and resume after it change nothing', async () => {
    const { link, post } = await start()
    await Promise.all([link.disconnect(), link.disconnect()])
    await link.disconnect()
    await link.cancel()
    link.resume()
    link.settle([{ receipt: 1, outcome: 'ack' }])
    await expect(post('{}')).rejects.toThrow()
  })
})

describe("reply: 'settled'", () => {
  const settledBy = async (answer: Answer | undefined): Promise<Response> => {
    const webhook = await start({ reply: 'settled', id: 'x-id' })
    const response = webhook.post('{}', { headers: { 'x-id': 'event-1' } })
    await until(() => webhook.deliveries().length === 1)
    expect(webhook.intake.arrivals).toHaveLength(1)
    const settlement = { receipt: receiptOf(webhook), outcome: 'ack' as const }
    webhook.link.settle([answer === undefined ? settlement : { ...settlement, answer }])
    return response
  }
  const id = 'event-1'

  test.each<[string, Answer | undefined, number, unknown]>([
    ['the value of the handler', { status: 'done', value: { total: 7 } }, 200, { total: 7 }],
    ['null for a handler that returns nothing', { status: 'done', value: undefined }, 200, null],
    ['null where no answer came with the settlement', undefined, 200, null],
    ['that it was ignored', { status: 'ignored' }, 200, { id, status: 'ignored' }],
    ['that it is a duplicate', { status: 'duplicate' }, 200, { id, duplicate: true }],
    ['that it is tried again later', { status: 'retrying' }, 202, { id, status: 'retrying' }],
    ['that a shutdown gave it back', { status: 'released' }, 202, { id, status: 'accepted' }],
  ])('answers %s', async (_name, answer, status, body) => {
    const response = await settledBy(answer)
    expect(response.status).toBe(status)
    expect(await response.json()).toEqual(body)
  })

  test('answers 400 with the reason when the payload does not match its schema', async () => {
    const error = new ControllerError('EVENT_INVALID', 'data.amount: expected number')
    const response = await settledBy({ status: 'parked', error })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'EVENT_INVALID', detail: 'data.amount: expected number' })
  })

  test('answers 500 without the words of the handler when the event was parked', async () => {
    const error = new ControllerError('HANDLER_FAILED', 'no connection to 10.0.0.7 as admin')
    const response = await settledBy({ status: 'parked', error })
    expect(response.status).toBe(500)
    const problem = await response.text()
    expect(problem).toContain('HANDLER_FAILED')
    expect(problem).not.toContain('10.0.0.7')
  })

  test('answers 500 when the handler returned what JSON cannot say', async () => {
    expect((await settledBy({ status: 'done', value: 1n })).status).toBe(500)
  })

  test('answers 202 at the timeout, and takes the settlement that comes later', async () => {
    const webhook = await start({ reply: 'settled', timeoutMs: 150, credit: 1 })
    const response = await webhook.post('{}')
    expect(response.status).toBe(202)
    expect(await response.json()).toMatchObject({ status: 'accepted' })
    webhook.link.settle([{ receipt: receiptOf(webhook), outcome: 'ack', answer: { status: 'done', value: 1 } }])
    expect((await webhook.post('{}')).status).toBe(202)
  })

  test('cancel does not wait for handlers; disconnect answers those who do with a 202', async () => {
    const webhook = await start({ reply: 'settled' })
    const response = webhook.post('{}')
    await until(() => webhook.deliveries().length === 1)
    await webhook.link.cancel()
    await webhook.link.disconnect()
    expect((await response).status).toBe(202)
    expect(await (await response).json()).toMatchObject({ status: 'accepted' })
  })
})

describe('the one server', () => {
  test('serves several sources, and one that goes answers 503 while the others stay', async () => {
    const first = await start({ path: '/a' })
    const second = await start({ path: '/b', server: first.server, source: 'second' })
    const put = await start({ path: '/a', method: 'PUT', server: first.server, source: 'third' })
    expect(second.port).toBe(first.port)
    for (const { post } of [first, second, put]) expect((await post('{}')).status).toBe(202)
    const wrong = await fetch(`http://127.0.0.1:${first.port}/a`)
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST, PUT'])
    await first.link.disconnect()
    expectUnavailable(await first.post('{}'))
    expect((await second.post('{}')).status).toBe(202)
    await second.link.disconnect()
    await put.link.disconnect()
    await expect(second.post('{}')).rejects.toThrow()
    expect(first.server.address()).toBeUndefined()
  })

  test('opens again for a source that connects while the last one goes', async () => {
    const first = await start()
    const gone = first.link.disconnect()
    const again = await start({ server: first.server })
    await gone
    expect((await again.post('{}')).status).toBe(202)
  })

  test('a port that is taken is PORT_IN_USE; two sources on one path are CONFIG_INVALID', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await until(() => taken.listening)
    const { port } = taken.address() as { port: number }
    const server = createWebhookServer({ host: '127.0.0.1', port, log: silent })
    const host: DriverHost = {
      source: 'test',
      credit: { events: 1, bytes: 1_000 },
      log: silent,
      deliver: () => {},
      lost: () => {},
      gauge: () => {},
      count: () => {},
    }
    const driver = createWebhookDriver(defaults, { server, intake: createRememberingIntake() })
    await expect(driver.connect(host)).rejects.toMatchObject({ code: 'PORT_IN_USE' })
    await new Promise((resolve) => taken.close(resolve))
    const link = await driver.connect(host)
    await expect(driver.connect(host)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await link.disconnect()
  })

  test('a sender that never reads its answer holds up nobody, neither others nor the end', async () => {
    const { port, link, post } = await start({ reply: 'settled' })
    const value = 'x'.repeat(8 * 1_048_576)
    const deaf = open(port).pause()
    deaf.write(whole('{}'))
    const { deliveries } = started.at(-1) as Started
    await until(() => deliveries().length === 1)
    link.settle([{ receipt: deliveries()[0]?.receipt as number, outcome: 'ack', answer: { status: 'done', value } }])
    const other = post('{}')
    await until(() => deliveries().length === 2)
    link.settle([{ receipt: deliveries()[1]?.receipt as number, outcome: 'ack' }])
    expect((await other).status).toBe(200)
    const at = performance.now()
    await link.disconnect()
    expect(performance.now() - at).toBeLessThan(2_500)
    deaf.destroy()
  })
})
