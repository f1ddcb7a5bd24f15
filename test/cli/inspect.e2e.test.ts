import { get } from 'node:http'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { createBrowserReceiver, type StatelyInspectionEvent } from '@statelyai/inspect'
import { afterEach, expect, it, onTestFinished } from 'vitest'
import { counting, inspected, stopAll } from '../inspector/support.ts'
import { freePort } from '../support/freePort.ts'
import { startProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const token = 'operate-token-of-at-least-32-characters'
const stately = 'http://127.0.0.1:1/inspect'

afterEach(stopAll)

const startInspect = (page: string, args: readonly string[], given: string | undefined = token) =>
  startProcess([main, 'inspect', ...args], {
    env: { KOKSMAT_ADMIN_PORT: new URL(page).port, KOKSMAT_INSPECTOR_TOKEN: given },
  })

type Listener = (event: { data: unknown; source: unknown; origin: string }) => void

/** As much of a browser's window as the two pages use; what is posted to it comes from `from`. */
const createWindow = (origin: string) => {
  const listeners: Listener[] = []
  return {
    origin,
    addEventListener: (_: 'message', listener: Listener) => void listeners.push(listener),
    tell: (data: unknown, from: { readonly origin: string }) => {
      for (const listener of listeners) listener({ data: structuredClone(data), source: from, origin: from.origin })
    },
  }
}

/** A browser with the page of the bridge; a click opens a page of Stately's, with its real receiver. */
const openBrowser = async (address: string) => {
  const got: StatelyInspectionEvent[] = []
  const opened: string[] = []
  const streams = new AbortController()
  onTestFinished(() => streams.abort())
  const bridge = createWindow(new URL(address).origin)
  const other = createWindow(new URL(stately).origin)
  let click: () => void = () => undefined
  const state = { textContent: '' }
  const button = {
    addEventListener: (_: 'click', listener: () => void) => {
      click = listener
    },
  }

  const asOpener = { postMessage: (data: unknown) => bridge.tell(data, shown) }
  const shown = {
    origin: other.origin,
    postMessage: (data: unknown, to: string) => {
      expect(to).toBe(other.origin)
      other.tell(data, bridge)
    },
  }
  const load = (): void => {
    const window: unknown = { ...other, opener: asOpener, self: 'same', top: 'same' }
    createBrowserReceiver({ window } as Parameters<typeof createBrowserReceiver>[0]).subscribe(
      (event) => void got.push(event),
    )
  }
  class EventSource {
    onmessage: (event: { data: string }) => void = () => undefined
    readonly #end = new AbortController()
    constructor(path: string) {
      const signal = AbortSignal.any([this.#end.signal, streams.signal])
      void fetch(new URL(path, address), { signal })
        .then(async ({ body }) => {
          let text = ''
          for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
            const lines = (text + chunk).split('\n\n')
            text = lines.pop() ?? ''
            for (const line of lines) if (line.startsWith('data: ')) this.onmessage({ data: line.slice(6) })
          }
        })
        .catch(() => undefined)
    }
    close(): void {
      this.#end.abort()
    }
  }
  const open = (url: string) => {
    opened.push(url)
    setImmediate(load)
    return shown
  }
  const document = { getElementById: (id: string) => (id === 'open' ? button : state) }
  const script = await (await fetch(new URL('bridge.js', address))).text()
  runInNewContext(script, { window: { ...bridge, open }, document, EventSource })
  return { got, opened, load, click: () => click(), tell: bridge.tell }
}

it('inspect says where the inspector of the running controller is, and that there is none', async () => {
  const { page } = await inspected(counting(), { token })
  const said = startInspect(page, [])
  expect(await said.exit).toMatchObject({ code: 0 })
  expect(said.output().trim()).toBe(page)
  const stranger = startInspect(page, ['--stately'], 'another-token-of-at-least-32-characters')
  expect(await stranger.exit).toMatchObject({ code: 2 })
  const nobody = startInspect(`http://127.0.0.1:${await freePort()}`, ['--stately'])
  expect(await nobody.exit).toMatchObject({ code: 4 })
})

it("inspect --stately passes the controller on to a page with Stately's receiver, and to nobody else", async () => {
  const actor = counting()
  const { page, inspector } = await inspected(actor, { token })
  await using command = startInspect(page, ['--stately', '--page', stately])
  const [, address = ''] = await command.says(/Open (\S+) in a browser/)
  const browser = await openBrowser(address)
  browser.tell({ type: '@statelyai.connected' }, { origin: 'http://stranger.test' })
  expect(inspector.viewers()).toBe(0)

  browser.click()
  const registered = await until(() => browser.got.find(({ type }) => type === '@xstate.actor'))
  expect(registered).toMatchObject({ name: 'counting', sessionId: actor.sessionId, _version: '0.7.2' })
  expect(browser.opened).toEqual([stately])
  await until(() => inspector.observers() === 1)
  actor.send({ type: 'add' })
  await until(() => browser.got.some((event) => event.type === '@xstate.event' && event.event.type === 'add'))

  browser.got.length = 0
  browser.load()
  await until(() => browser.got.some(({ type }) => type === '@xstate.actor'))
  await until(() => inspector.viewers() === 1)

  const { origin, port } = new URL(address)
  expect((await fetch(`${origin}/messages`)).status).toBe(404)
  expect((await fetch(address, { method: 'POST' })).status).toBe(404)
  const foreign = await new Promise((resolve) =>
    get({ port, path: new URL(address).pathname, headers: { host: 'stranger.test' } }, (response) =>
      resolve(response.resume().statusCode),
    ),
  )
  expect(foreign).toBe(404)
  const shown = await fetch(address)
  expect(shown.headers.get('content-security-policy')).toContain("default-src 'none'")
  expect(await shown.text()).toContain(stately)
  expect(command.output()).not.toContain(token)

  command.signal('SIGTERM')
  expect(await command.exit).toMatchObject({ code: 0 })
  await until(() => inspector.viewers() === 0)
})
