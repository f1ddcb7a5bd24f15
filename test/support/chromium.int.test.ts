import { expect, test } from 'vitest'
import { isAlive } from '../../src/embedded/processes.ts'
import { startChromium } from './chromium.ts'
import { until } from './until.ts'

test('a test gets a Chromium that resolves no foreign name, and stopped it leaves no process behind', async () => {
  const { browser, stop } = await startChromium()
  const session = await browser.newBrowserCDPSession()
  const page = await browser.newPage()
  expect(await page.evaluate('6 * 7')).toBe(42)
  await expect(page.goto('http://example.com/')).rejects.toThrow('ERR_NAME_NOT_RESOLVED')
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  expect(processInfo.length).toBeGreaterThan(1)
  await stop()
  await until(() => processInfo.every(({ id }) => !isAlive(id)))
  await stop()
})
