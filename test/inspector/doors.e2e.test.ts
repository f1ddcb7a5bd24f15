import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Ack, Hello } from '../../inspector/protocol.ts'
import type { Status } from '../../src/status.ts'
import { rebound, startChromium, type TestBrowser } from '../support/chromium.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'
import { answerTo, opens } from './inPage.ts'
import { openShop, type Shop } from './shop/shop.ts'
import { openViewer } from './support.ts'
import { barriers, visit } from './visit.ts'

/**
 * Who gets in to a real controller, as a browser asks: with its cookies, its `Host` and its `Origin`, none of which a page
 * can make up; and what those may do by hand who are in.
 */
const token = 'operate-token-of-at-least-32-characters'
const readToken = 'read-token-of-at-least-thirty-two-characters'
let chromium: TestBrowser
let foreign: Server
let shop: Shop
let controller: DrivenProcess

beforeAll(async () => {
  chromium = await startChromium()
  foreign = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<title>foreign</title>'))
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve))
  shop = await openShop()
  controller = await shop.start({ KOKSMAT_INSPECTOR_TOKEN: token, KOKSMAT_INSPECTOR_TOKEN_READ: readToken })
}, 240_000)
afterAll(async () => {
  await shop?.[Symbol.asyncDispose]()
  await chromium?.stop()
  foreign?.closeAllConnections()
  foreign?.close()
})

const stateOf = async (source: string): Promise<string | undefined> => {
  const headers = { authorization: `Bearer ${readToken}` }
  const status = (await (await fetch(new URL('/status', shop.page), { headers })).json()) as Status
  return status.sources[source]?.state
}

test('without a token the page asks for one; with one from its link it opens, and the token leaves the address', async () => {
  await using seen = await visit(chromium.browser, shop.page, { expected: /status of 401/ })
  await seen.page.getByLabel('Token').waitFor()
  expect(await barriers(seen.page)).toEqual([])
  await seen.page.getByLabel('Token').fill('wrong')
  await seen.page.getByRole('button', { name: 'Look' }).click()
  await seen.page.getByText('That token was not accepted.').waitFor()

  await using invited = await visit(chromium.browser, `${shop.page}?tab=sequence#token=${token}`)
  await invited.page.locator('[data-link=live]').waitFor()
  expect(invited.page.url()).toBe(`${shop.page}?tab=sequence`)
  expect(await invited.page.evaluate('document.cookie')).toBe('')
  await invited.page.reload()
  await invited.page.locator('[data-link=live]').waitFor()
})

test('a token that may only read shows everything, its buttons are off, and a frame made by hand is refused', async () => {
  await using seen = await visit(chromium.browser, `${shop.page}#token=${readToken}`)
  await seen.page.getByText('read only').waitFor()
  await seen.page.getByRole('button', { name: 'Send an event…' }).click()
  expect(await seen.page.getByRole('button', { name: 'Send', exact: true }).isDisabled()).toBe(true)
  const { actors } = JSON.parse(seen.frames.find((frame) => frame.startsWith('{"type":"hello"')) ?? '{}') as Hello
  const event = { type: 'controller.pause', source: 'orders' }
  const send = { type: 'send', id: '1', sessionId: actors[0]?.sessionId, event }
  const ack = JSON.parse(await seen.page.evaluate(answerTo, JSON.stringify(send))) as Ack
  expect(ack).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } })
  expect(await stateOf('orders')).toBe('listening')
})

test('what is sent by hand has its effect, an ack and an audit line; bad JSON, xstate.* and an unknown actor are refused', async () => {
  await using seen = await visit(chromium.browser, `${shop.page}#token=${token}`)
  await seen.page.getByRole('button', { name: 'Send an event…' }).click()
  const send = async (type: string, payload: string): Promise<void> => {
    await seen.page.getByLabel('Send', { exact: true }).fill(type)
    await seen.page.getByLabel('Payload', { exact: true }).fill(payload)
    await seen.page.getByRole('button', { name: 'Send', exact: true }).click()
  }
  const problem = (text: string) => seen.page.getByRole('alert').filter({ hasText: text }).waitFor()
  await send('controller.pause', '{ "source": ')
  await problem('not a JSON object')
  await send('xstate.stop', '')
  await problem('are not sent')
  const late = { type: 'send', id: '1', sessionId: 'x:404', event: { type: 'controller.pause', source: 'orders' } }
  expect(await seen.page.evaluate(answerTo, JSON.stringify(late))).toContain('NO_ACTOR')
  expect(await stateOf('orders')).toBe('listening')

  const audited = () => controller.log().filter(({ msg }) => msg === 'operator command' || msg === 'inspector command')
  const before = audited().length
  await send('controller.pause', '{ "source": "orders" }')
  await seen.page.getByText('controller.pause was sent to controller').waitFor()
  await until(async () => (await stateOf('orders')) === 'paused')
  await until(() => audited().length === before + 2)
  expect(audited().slice(before)).toEqual([
    expect.objectContaining({ command: 'pause', source: 'orders', result: 'done' }),
    expect.objectContaining({ command: 'send', to: 'controller', event: 'controller.pause' }),
  ])
  await send('controller.resume', '{ "source": "orders" }')
  await until(async () => (await stateOf('orders')) === 'listening')
})

test('a foreign page gets no socket and no answer, and a foreign name that leads here gets nothing at all', async () => {
  controller.signal('SIGTERM')
  await controller.exit
  controller = await shop.start()
  const viewer = await openViewer(shop.page)
  viewer.watch({ states: true })
  const { port } = foreign.address() as AddressInfo
  await using seen = await visit(chromium.browser, `http://127.0.0.1:${port}/`, {
    expected:
      /WebSocket connection|blocked by CORS|ERR_FAILED|status of (403|404|421)|Cross-Origin-Opener-Policy|favicon/,
  })
  expect(await seen.page.evaluate(opens, `${shop.page.replace('http', 'ws')}ws`)).toBe(false)
  const asked = seen.page.evaluate((address) => fetch(address).then(({ status }) => status), `${shop.page}session`)
  await expect(asked).rejects.toThrow('Failed to fetch')

  const there = shop.page.replace('127.0.0.1', rebound)
  expect((await seen.page.goto(there))?.status()).toBe(421)
  expect(await seen.page.evaluate(opens, `${there.replace('http', 'ws')}ws`)).toBe(false)
  const { length } = viewer.heard('stats')
  await until(() => viewer.heard('stats').length > length)
  expect(viewer.heard('stats').map(({ viewers }) => viewers)).toEqual(viewer.heard('stats').map(() => 1))
  await viewer.close()
})
