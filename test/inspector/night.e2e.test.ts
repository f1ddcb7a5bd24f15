import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startChromium, type TestBrowser } from '../support/chromium.ts'
import type { DrivenProcess } from '../support/processDriver.ts'
import { until as untilWithin } from '../support/until.ts'
import { definitionOf, overlaps } from './chartFacts.ts'
import { drawnChart, litAfterClick, overflow } from './inPage.ts'
import { openShop, type Shop } from './shop/shop.ts'
import { barriers, type Visit, type VisitOptions, visit } from './visit.ts'

/**
 * Somebody is woken at night and opens one page, on a machine without internet: a real controller with RabbitMQ, Postgres
 * and webhooks behind it, in a browser that reaches nothing else. The tests follow each other through one such night.
 */
const marker = '4111-marker-1111'
/** The machine may do a lot else meanwhile. */
const until = <T>(fact: () => T | Promise<T>) => untilWithin(fact, 90_000)

let shop: Shop
let chromium: TestBrowser
let controller: DrivenProcess

const look = async (query = '', options: VisitOptions = {}): Promise<Visit> => {
  const seen = await visit(chromium.browser, shop.page + query, options)
  await seen.page.locator('[data-link=live]').waitFor()
  return seen
}

/** Waits until the page says so at its head, and gives what it says of it. */
const says = (seen: Visit, start: string): Promise<string> =>
  until(async () => (await seen.findings()).find((finding) => finding.startsWith(start)))

/** How many events have come so far. */
const received = async ({ page }: Visit): Promise<number> =>
  Number(await page.locator('.counts').getAttribute('data-received'))

beforeAll(async () => {
  shop = await openShop()
  controller = await shop.start({ KOKSMAT_SHUTDOWN_TIMEOUT: '16s' })
  chromium = await startChromium()
}, 240_000)

afterAll(async () => {
  await chromium?.stop()
  await shop?.[Symbol.asyncDispose]()
})

test('idle: the page says that all is well, and asks nobody but the controller', async () => {
  await using seen = await look()
  await shop.order('order-1')
  await shop.hook('push', 'push-1')
  await shop.invoice(120)
  await until(async () => (await received(seen)) >= 14)
  expect(await says(seen, 'All is well')).toContain('All 7 sources are up')
  await seen.page.locator('[data-chart]').waitFor()
  await seen.picture('idle')
  // From here on two events of `reports` hang, which the end of the night is about.
  for (const id of ['r-1041', 'r-1042', 'r-1043']) await shop.enqueue('reports', 'report.requested', id)
  await shop.hook('release', 'v1.4.0')
})

test.each(['controller', 'controller/source:orders'])(
  'the chart of %s has each state and each transition once, and nothing lies over anything else, downwards and to the right',
  async (actor) => {
    await using seen = await look(`?actor=${actor}&large=1`)
    for (const turn of ['Down ↓', 'Right →']) {
      await seen.page.getByRole('button', { name: turn }).waitFor()
      await seen.page.locator('[data-chart]').waitFor()
      await seen.page.getByRole('button', { name: 'Whole', exact: true }).click()
      const drawn = await seen.page.evaluate(drawnChart)
      const { paths, edges } = await definitionOf(shop.page, drawn.hash)
      expect(drawn.paths.toSorted()).toEqual(paths.toSorted())
      expect(drawn.edges.toSorted()).toEqual(edges.toSorted())
      expect(overlaps(drawn)).toEqual([])
      await seen.page.getByRole('button', { name: turn }).click()
    }
  },
)

test('a source that is paused on the page is lit in its chart within 300 ms, and nothing in the chart has moved', async () => {
  await using seen = await look('?actor=controller/source:invoices&large=1')
  await seen.page.locator('[data-chart]').waitFor()
  await seen.page.getByRole('button', { name: 'Whole', exact: true }).click()
  const before = await seen.page.evaluate(drawnChart)
  expect(before.on).toContain('listening')
  const button = '[data-source=invoices] button.small'
  const took: number[] = []
  // A machine that does a lot else may be late now and then, not each time.
  for (let tries = 0; tries < 20 && !took.some((ms) => ms < 300); tries++) {
    await seen.page.getByLabel('Pause invoices').waitFor()
    took.push(await seen.page.evaluate(litAfterClick, { button, path: 'paused' }))
    await seen.page.getByLabel('Resume invoices').waitFor()
    expect(await says(seen, 'invoices is paused')).toContain('somebody stopped its intake')
    await seen.page.evaluate(litAfterClick, { button, path: 'listening' })
  }
  expect(Math.min(...took)).toBeLessThan(300)
  const { on: _, ...after } = await seen.page.evaluate(drawnChart)
  expect(before).toMatchObject(after)
})

test('under load: the rate is shown, the list has few rows in the document, and stands still when it is told to', async () => {
  await using seen = await look()
  await seen.page.locator('[data-chart]').waitFor()
  const load = ordersUntilStopped()
  try {
    const rate = seen.page.locator('[data-source=orders] .rate')
    await until(async () => Number.parseFloat(await rate.innerText()) > 20)
    await until(async () => (await received(seen)) > 1_000)
    await seen.picture('load')
    const rows = seen.page.locator('[data-seq]')
    expect(await rows.count()).toBeLessThan(200)
    await seen.page.getByRole('button', { name: '❚❚ Pause' }).click()
    const [first, then] = [await rows.first().getAttribute('data-seq'), await received(seen)]
    await until(async () => (await received(seen)) > then + 200)
    expect(await rows.first().getAttribute('data-seq')).toBe(first)
  } finally {
    await load.stop()
  }
})

const ordersUntilStopped = () => {
  let going = true
  const sending = (async () => {
    for (let no = 1; going; no += 20) {
      await Promise.all(Array.from({ length: 20 }, (_, i) => shop.order(`load-${no + i}`)))
      await sleep(60)
    }
  })()
  return {
    stop: async () => {
      going = false
      await sending
    },
  }
}

test('the sequence shows who told whom, and an event that is chosen there is chosen everywhere', async () => {
  await using seen = await look('?tab=sequence&of=controller/source:invoices')
  await shop.invoice(7)
  const step = seen.page.locator('.step', { hasText: 'database.trigger' }).last()
  await step.waitFor()
  await seen.page.locator('.step', { hasText: 'link.settle' }).last().waitFor()
  const lanes = await seen.page.locator('.sequence .head span').allInnerTexts()
  expect(lanes.map((lane) => lane.split('\n')[0])).toEqual(['controller', 'source:invoices', 'link'])
  await step.click()
  await seen.page.getByLabel('Only of this actor').selectOption('')
  await seen.page.locator('.step.selected').waitFor()
  await seen.picture('sequence')
  const seq = await seen.page.locator('.step.selected').getAttribute('data-seq')
  expect(await seen.page.getByLabel('Event', { exact: true }).innerText()).toContain('invoice.created')
  await seen.page.getByRole('tab', { name: 'Events' }).click()
  expect(await seen.page.locator('.event.selected').getAttribute('data-seq')).toBe(seq)
  // The link leads somebody else to the same.
  await using other = await look(new URL(seen.page.url()).search)
  expect(await other.page.locator('.event.selected').getAttribute('data-seq')).toBe(seq)
  expect(await other.page.locator('[aria-selected=true][data-actor]').getAttribute('data-actor')).toBe('controller')
})

test('backing off: the page says which source cannot connect, since when it cannot, and why', async () => {
  await using seen = await look('?actor=controller/source:orders')
  await seen.page.locator('[data-chart]').waitFor()
  shop.broker.refuse()
  shop.broker.reset()
  try {
    const first = await says(seen, 'orders cannot connect')
    expect(first).toMatch(/since \d\d:\d\d:\d\d .*SOURCE_CONNECT.*See whether RabbitMQ is up/)
    const tries = seen.page.locator('[data-source=orders] .tries')
    await until(async () => Number((await tries.innerText()).replace('↻ ', '')) >= 3)
    await seen.page.locator('[data-source=orders].bad').waitFor()
    await seen.picture('backing-off')
    const sinceOf = (finding: string) => /since (\S+)/.exec(finding)?.[1]
    expect(sinceOf(await says(seen, 'orders cannot connect'))).toBe(sinceOf(first))
    expect(await seen.page.title()).toContain('orders cannot connect')
  } finally {
    shop.broker.heal()
  }
  await until(async () => !(await seen.findings()).some((finding) => finding.startsWith('orders')))
})

test('parked: error, payload and attempts are shown without the secret; a double click redrives once; all that match with a typed word', async () => {
  await using seen = await look()
  const { page } = seen
  for (const id of ['pay-1', 'pay-2', 'pay-3']) {
    const data = { order: 'order-1', amount: 1_200, card: { number: marker, brand: 'visa' } }
    await shop.enqueue('payments', 'payment.requested', id, data)
  }
  expect(await says(seen, '3 events are parked')).toContain('3 from payments')
  await page.getByRole('button', { name: 'Look at them' }).click()
  await page.locator('[data-parked=pay-2] button').click()
  const detail = page.locator('[data-opened=pay-2]')
  await detail.waitFor()
  const shown = await detail.innerText()
  for (const part of ['the bank does not answer', '"order-1"', '1200', '"visa"', 'redacted'])
    expect(shown).toContain(part)
  expect(await detail.locator('.attempts li').count()).toBe(2)
  await seen.picture('parked')

  shop.repair('bank')
  await detail.getByRole('button', { name: 'Redrive' }).dblclick()
  await page.locator('[data-parked=pay-2]').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Redrive all…' }).click()
  const go = page.getByRole('dialog').getByRole('button', { name: 'Redrive' })
  expect(await go.isDisabled()).toBe(true)
  await page.getByLabel('Type redrive to go on').fill('redrive')
  await go.click()
  await page.getByText('Nothing is parked.').waitFor()
  await until(() => shop.paid().length === 3)
  expect(shop.paid().toSorted()).toEqual(['pay-1', 'pay-2', 'pay-3'])

  const all = `${seen.frames.join('\n')}${await page.content()}`
  expect(all).toContain('visa')
  expect(all).not.toContain(marker)
})

test('nothing on any tab keeps somebody from using it, dark or light', async () => {
  await using seen = await look()
  await seen.page.locator('[data-chart]').waitFor()
  await seen.page.locator('[data-seq]').first().click()
  for (const colorScheme of ['light', 'dark'] as const) {
    await seen.page.emulateMedia({ colorScheme })
    await until(async () => (await seen.page.locator('html').getAttribute('data-theme')) === colorScheme)
    expect(await barriers(seen.page), colorScheme).toEqual([])
    for (const tab of await seen.page.getByRole('tab').all()) {
      await tab.click()
      expect(await barriers(seen.page, '#tab-panel'), `${colorScheme}, ${await tab.innerText()}`).toEqual([])
    }
    await seen.page.getByRole('tab', { name: 'Events' }).click()
    await seen.page.getByRole('button', { name: 'Drain…' }).click()
    expect(await barriers(seen.page, 'dialog'), `${colorScheme}, the dialog`).toEqual([])
    await seen.page.getByRole('button', { name: 'Cancel' }).click()
  }
})

test('the keyboard does without a mouse: search, tabs, the next event, the tree, the help', async () => {
  await using seen = await look('?tab=sources')
  const { page } = seen
  await page.locator('[data-link=live]').waitFor()
  await shop.invoice(9)
  await page.keyboard.press('/')
  await page.keyboard.type('invoice.created')
  await page.locator('.event .about', { hasText: 'invoice.created' }).first().waitFor()
  expect(new URL(page.url()).searchParams.get('q')).toBe('invoice.created')
  await page.locator('#search').blur()
  await page.keyboard.press('k')
  await page.keyboard.press('k')
  const chosen = await page.locator('.event.selected').getAttribute('data-seq')
  expect(new URL(page.url()).searchParams.get('event')).toBe(chosen)
  const actor = page.locator('[aria-selected=true][data-actor]')
  const before = await actor.getAttribute('data-actor')
  await page.getByRole('tree').focus()
  await page.keyboard.press('ArrowDown')
  expect(await actor.getAttribute('data-actor')).not.toBe(before)
  await page.keyboard.press('5')
  expect(await page.getByRole('tab', { selected: true }).innerText()).toContain('Parked')
  await page.keyboard.press('?')
  await page.getByRole('dialog').getByText('search the events').waitFor()
})

test('a phone shows how it stands, with buttons that a thumb can hit, and nothing is wider than the screen', async () => {
  await using seen = await look('', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true })
  await says(seen, 'reports is stuck')
  await seen.picture('phone')
  expect(await seen.page.evaluate(overflow)).toBeLessThanOrEqual(0)
  for (const button of await seen.page.locator('.presses button').all()) {
    expect((await button.boundingBox())?.height).toBeGreaterThanOrEqual(40)
  }
  expect(await barriers(seen.page)).toEqual([])
})

test('stalled: which source is stuck, since when, on which event, and what to press', async () => {
  await using seen = await look()
  const said = await says(seen, 'reports is stuck')
  expect(said).toMatch(/since \d\d:\d\d:\d\d \(.*\): 3 of 3 in flight and nothing settles/)
  expect(said).toMatch(/The oldest is report.requested r-104\d, running for/)
  await seen.page.locator('[data-chart]').waitFor()
  await seen.picture('stalled')
  await seen.page.getByRole('button', { name: 'Jobs and locks' }).first().click()
  expect(await seen.page.locator('[data-job=r-1041]').innerText()).toContain('reports')
  expect(await seen.page.locator('[data-job="v1.4.0"]').innerText()).toMatch(/\d+ of 12/)
  await seen.page.getByRole('button', { name: 'Pause reports' }).first().click()
  expect(await says(seen, 'reports is paused')).toContain('3 still in flight')
  await seen.page.getByRole('button', { name: 'Resume reports' }).first().click()
  await says(seen, 'reports is')
})

test('draining wants its word typed, and shows how far it is, what is left and how long it may take', async () => {
  await using seen = await look('', { expected: /ERR_CONNECTION_REFUSED|WebSocket connection/ })
  const { page } = seen
  await page.locator('[data-chart]').waitFor()
  await page.getByRole('button', { name: 'Drain…' }).click()
  await page.getByLabel('Type drain to go on').fill('drain')
  await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click()
  expect(await says(seen, 'Draining')).toMatch(/still in flight. The oldest is report.requested r-104\d from reports/)
  const progress = page.getByLabel('Drain', { exact: true })
  // The three reports: what else was begun is done in a moment.
  await until(async () => /^3 in flight[\s\S]* left/m.test(await progress.innerText()))
  // The three payments that were parked have been redriven since.
  expect(await progress.innerText()).not.toContain('parked')
  await page.locator('[data-drain=orders]', { hasText: 'closed' }).waitFor()
  await seen.picture('draining')
  shop.repair('archive')
  expect(await controller.exit, controller.output()).toEqual({ code: 0, signal: null })
  expect(await says(seen, 'No connection to the controller')).toContain('it tries again by itself')
})

test('killed and started again: the page says that it has no connection, comes back by itself, and shows nothing twice', async () => {
  controller = await shop.start()
  await using seen = await look('?internal=1', { expected: /ERR_|WebSocket connection/ })
  const { page } = seen
  await shop.invoice(1)
  await page.locator('.event .about', { hasText: 'invoice.created' }).first().waitFor()
  controller.signal('SIGKILL')
  await controller.exit
  await page.locator('[data-link=reconnecting]').waitFor()
  await says(seen, 'No connection to the controller')
  controller = await shop.start()
  await page.locator('[data-link=live]').waitFor()
  await shop.invoice(2)
  await page.locator('.event .about', { hasText: 'invoice.created' }).first().waitFor()
  const seqs = await page.locator('[data-seq]').evaluateAll((rows) => rows.map((row) => Number(row.dataset['seq'])))
  expect(seqs).toEqual([...new Set(seqs)].toSorted((one, other) => one - other))
})
