import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { guarded } from './guarded.ts'
import { ServerUnavailable } from './serverKinds.ts'
import { until } from './until.ts'

export const debiansChromium = '/usr/bin/chromium'

/** What `CHROMIUM_PATH` names, or Debian's. */
export const chromiumProgram = process.env['CHROMIUM_PATH'] ?? debiansChromium

export interface TestBrowser {
  readonly browser: Browser
  /** Ends it and all it left. Legal twice. */
  stop(): Promise<void>
}

/** A foreign name that leads to this machine, as one does that a rebinding attacker has made. */
export const rebound = 'rebound.test'

/**
 * A headless browser of one's own, with an empty profile. It resolves no name and reaches no address but loopback. Its
 * processes and its folder are gone when it is stopped, or this process has ended in whatever way.
 */
export const startChromium = async (): Promise<TestBrowser> => {
  const home = guarded('chromium')
  const profile = join(home.folder, 'profile')
  const environment = { PATH: process.env['PATH'], HOME: home.folder, TMPDIR: home.folder, TZ: 'UTC' }
  const started = home.start(chromiumProgram, [...flags, `--user-data-dir=${profile}`, 'about:blank'], environment)
  try {
    const port = await until(() => !started.alive() || portIn(profile), 60_000)
    if (port === true) throw new ServerUnavailable(`it did not start: ${started.said()}`)
    const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { artifactsDir: home.folder })
    return {
      browser,
      stop: async () => {
        await browser.close()
        await home.end()
      },
    }
  } catch (thrown) {
    await home.end()
    throw thrown
  }
}

/** It writes there where it listens, as soon as it does. */
const portIn = (profile: string): string | undefined =>
  /^\d+/.exec(readFileSync(join(profile, 'DevToolsActivePort'), 'utf8'))?.[0]

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
  `--host-resolver-rules=MAP ${rebound} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
]
