import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Ack, Hello } from '../../inspector/protocol.ts'
import { rebound, startChromium, type TestBrowser } from '../support/chromium.ts'
import { answerTo, opens } from './inPage.ts'
import { counting, inspected, stopAll } from './support.ts'
import { barriers, visit } from './visit.ts'

/** Who gets in, as a browser asks: with its cookies, its `Host` and its `Origin`, none of which a page can make up. */
const token = 'operate-token-of-at-least-32-characters'
const readToken = 'read-token-of-at-least-thirty-two-characters'
let chromium: TestBrowser
let foreign: Server

beforeAll(async () => {
  chromium = await startChromium()
  foreign = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<title>foreign</title>'))
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve))
}, 120_000)
afterEach(stopAll)
afterAll(async () => {
  await chromium?.stop()
  foreign?.closeAllConnections()
  foreign?.close()
})

test('without a token the page asks for one; with one from its link it opens, and the token leaves the address', async () => {
  const { page } = await inspected(counting(), { token })
  await using seen = await visit(chromium.browser, page, { expected: /status of 401/ })
  await seen.page.getByLabel('Token').waitFor()
  expect(await barriers(seen.page)).toEqual([])
  await seen.page.getByLabel('Token').fill('wrong')
  await seen.page.getByRole('button', { name: 'Look' }).click()
  await seen.page.getByText('That token was not accepted.').waitFor()

  await using invited = await visit(chromium.browser, `${page}?tab=sequence#token=${token}`)
  await invited.page.locator('[data-link=live]').waitFor()
  expect(invited.page.url()).toBe(`${page}?tab=sequence`)
  expect(await invited.page.evaluate('document.cookie')).toBe('')
  await invited.page.reload()
  await invited.page.locator('[data-link=live]').waitFor()
})

test('a token that may only read shows everything, its buttons are off, and a frame made by hand is refused', async () => {
  const actor = counting()
  const { page } = await inspected(actor, { token, readToken })
  await using seen = await visit(chromium.browser, `${page}#token=${readToken}`)
  await seen.page.getByText('read only').waitFor()
  await seen.page.getByRole('button', { name: 'Send an event…' }).click()
  expect(await seen.page.getByRole('button', { name: 'Send', exact: true }).isDisabled()).toBe(true)
  const { actors } = JSON.parse(seen.frames.find((frame) => frame.startsWith('{"type":"hello"')) ?? '{}') as Hello
  const send = { type: 'send', id: '1', sessionId: actors[0]?.sessionId, event: { type: 'add' } }
  const ack = JSON.parse(await seen.page.evaluate(answerTo, JSON.stringify(send))) as Ack
  expect(ack).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } })
  expect(actor.getSnapshot().context.count).toBe(0)
})

test('a foreign page gets no socket and no answer, and a foreign name that leads here gets nothing at all', async () => {
  const { page, inspector } = await inspected(counting())
  const { port } = foreign.address() as AddressInfo
  await using seen = await visit(chromium.browser, `http://127.0.0.1:${port}/`, {
    expected:
      /WebSocket connection|blocked by CORS|ERR_FAILED|status of (403|404|421)|Cross-Origin-Opener-Policy|favicon/,
  })
  expect(await seen.page.evaluate(opens, `${page.replace('http', 'ws')}ws`)).toBe(false)
  const asked = seen.page.evaluate((address) => fetch(address).then(({ status }) => status), `${page}session`)
  await expect(asked).rejects.toThrow('Failed to fetch')
  expect(inspector.viewers()).toBe(0)

  const there = page.replace('127.0.0.1', rebound)
  expect((await seen.page.goto(there))?.status()).toBe(421)
  expect(await seen.page.evaluate(opens, `${there.replace('http', 'ws')}ws`)).toBe(false)
  expect(inspector.viewers()).toBe(0)
})
