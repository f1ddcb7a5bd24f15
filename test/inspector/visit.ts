import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { expect } from 'vitest'
import type { ServerMessage } from '../../inspector/protocol.ts'
import { drawn, runAxe } from './inPage.ts'

/** Somebody who looks at an inspector: a tab of the browser with a profile of its own. */
export interface Visit extends AsyncDisposable {
  readonly page: Page
  /** What its sockets heard, as text. */
  readonly frames: readonly string[]
  /** The first words of the page: what is the matter, the worst first. */
  findings(): Promise<readonly string[]>
  /** Writes `docs/pictures/NAME.png`, where pictures are asked for (`npm run pictures`). */
  picture(name: string): Promise<void>
}

export interface VisitOptions extends BrowserContextOptions {
  /** Errors on the console that belong to the test. Any other one fails it. */
  readonly expected?: RegExp
}

const pictures = join(import.meta.dirname, '../../docs/pictures')
const loopback = /^(data:|blob:|(https?|ws):\/\/(127\.0\.0\.1|rebound\.test)[:/])/

/**
 * Leaving it (`await using`) fails the test where anything was asked from beyond loopback, violated the content security
 * policy, or ended as an error on the console.
 */
export const visit = async (
  browser: Browser,
  url: string,
  { expected, ...options }: VisitOptions = {},
): Promise<Visit> => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB', ...options })
  context.setDefaultTimeout(60_000)
  const page = await context.newPage()
  const frames: string[] = []
  const complaints: string[] = []
  page.on('request', (request) => {
    if (!loopback.test(request.url())) complaints.push(`asked ${request.url()}`)
  })
  page.on('websocket', (socket) => {
    if (!loopback.test(socket.url())) complaints.push(`asked ${socket.url()}`)
    socket.on('framereceived', ({ payload }) => void frames.push(String(payload)))
  })
  page.on('pageerror', (error) => complaints.push(`threw ${error.stack ?? error.message}`))
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return
    const text = `said ${message.text()} (${message.location().url})`
    if (expected?.test(text) !== true) complaints.push(text)
  })
  await page.goto(url)
  return {
    page,
    frames,
    findings: () => page.locator('.finding p').allInnerTexts(),
    picture: async (name) => {
      if (process.env['PICTURES'] === undefined) return
      await page.evaluate(drawn)
      writeFileSync(join(pictures, `${name}.png`), await page.screenshot())
    },
    [Symbol.asyncDispose]: async () => {
      await context.close()
      expect(complaints).toEqual([])
    },
  }
}

/** The messages of this type that its sockets heard. */
export const heard = <Type extends ServerMessage['type']>({ frames }: Visit, type: Type) =>
  frames
    .filter((frame) => frame.startsWith(`{"type":"${type}"`))
    .map((frame) => JSON.parse(frame) as Extract<ServerMessage, { type: Type }>)

/** What axe finds that keeps somebody from using the page, or this part of it. */
export const barriers = async (page: Page, part = 'html'): Promise<readonly string[]> => {
  await page.evaluate(axe.source)
  return page.evaluate(runAxe, part)
}
