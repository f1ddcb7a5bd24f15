import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { freePort } from '../support/freePort.ts'
import { type DrivenProcess, startProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'

const root = join(import.meta.dirname, '../..')
const main = join(root, 'src/main.ts')
const quickstart = join(root, 'examples/quickstart/controller.config.ts')
const schema = `top_${randomBytes(4).toString('hex')}`
const secondScreen = '\u001b[?1049h'
const restored = '\u001b[?25h\u001b[?1049l'
let controller: DrivenProcess
let env: Record<string, string>

beforeAll(async () => {
  env = {
    DATABASE_URL: inject('databaseUrl'),
    KOKSMAT_JOURNAL_SCHEMA: schema,
    KOKSMAT_ADMIN_PORT: String(await freePort()),
    PORT: String(await freePort()),
    TERM: 'xterm',
  }
  controller = startProcess([main, 'start', quickstart], { env })
  const probe = () => fetch(`http://127.0.0.1:${env['KOKSMAT_ADMIN_PORT']}/readyz`).catch(() => undefined)
  await until(async () => (await probe())?.ok, 30_000)
})
afterAll(async () => {
  await controller.end()
  const database = new Client({ connectionString: inject('databaseUrl') })
  await database.connect()
  await database.query(`drop schema if exists ${schema}, demo cascade`)
  await database.end()
})

/** `top` on a pseudo terminal of script(1), between two looks at the terminal's settings. */
const onTerminal = async () => {
  const node = `'${process.execPath}' '${main}'`
  const line = `stty -g; sh -c 'echo pid=$$; exec "$0" "$@"' ${node} top; echo code=$?; stty -g`
  const terminal = startProcess(['-qec', line, '/dev/null'], { command: 'script', env, stdin: true })
  const [, pid] = await terminal.says(/pid=(\d+)/)
  await terminal.says(/SOURCE .*IN FLIGHT/)
  return { terminal, pid: Number(pid) }
}

const expectRestored = async (terminal: DrivenProcess): Promise<void> => {
  await terminal.exit
  const output = terminal.output()
  expect(output.match(/code=(\d+)/)?.[1], output).toBe('0')
  const [before, after] = [...output.matchAll(/^[0-9a-f]+(?::[0-9a-f]+){10,}/gm)].map(([settings]) => settings)
  expect(before).toBeDefined()
  expect(after).toBe(before)
  expect(output.split(secondScreen)).toHaveLength(2)
  expect(output.split(restored)).toHaveLength(2)
  expect(output.indexOf(restored)).toBeGreaterThan(output.indexOf(secondScreen))
}

describe('top on a terminal', () => {
  it('shows the sources and what is new with them, and on q leaves the terminal as it was', async () => {
    const { terminal } = await onTerminal()
    await using _ = terminal
    expect(terminal.output()).toMatch(/orders +tableQueue +listening/)
    const pause = { name: 'pause', source: 'orders' }
    await fetch(`http://127.0.0.1:${env['KOKSMAT_ADMIN_PORT']}/control`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(pause),
    })
    await terminal.says(/orders +tableQueue +paused/)
    terminal.write('q')
    await expectRestored(terminal)
  })

  it('ends on q also while the controller is frozen and a look waits for its answer', async () => {
    const { terminal } = await onTerminal()
    await using _ = terminal
    controller.signal('SIGSTOP')
    try {
      // Longer than from one look to the next.
      const silent = fetch(`http://127.0.0.1:${env['KOKSMAT_ADMIN_PORT']}/livez`, {
        signal: AbortSignal.timeout(2_500),
      })
      await expect(silent).rejects.toThrow(/timeout/)
      const pressedAt = performance.now()
      terminal.write('q')
      await expectRestored(terminal)
      expect(performance.now() - pressedAt).toBeLessThan(5_000)
    } finally {
      controller.signal('SIGCONT')
    }
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('leaves it as it was on %s', async (name) => {
    const { terminal, pid } = await onTerminal()
    await using _ = terminal
    process.kill(pid, name)
    await expectRestored(terminal)
  })

  it('leaves it as it was on Ctrl-C, which a raw terminal sends as a key', async () => {
    const { terminal } = await onTerminal()
    await using _ = terminal
    terminal.write('\u0003')
    await expectRestored(terminal)
  })
})

describe('top without a terminal', () => {
  it('prints one picture without escapes, and with --json one value with the rates', async () => {
    await using plain = startProcess([main, 'top'], { env })
    expect(await plain.exit).toEqual({ code: 0, signal: null })
    expect(plain.output()).toMatch(/^koksmat-controller .* running {2}up /)
    expect(plain.output()).toMatch(/^orders +tableQueue/m)
    expect(plain.output()).not.toContain('\u001b')
    await using json = startProcess([main, 'top', '--json'], { env })
    await json.exit
    expect(JSON.parse(json.output())).toMatchObject({
      state: 'running',
      rates: { orders: { accepted: 0, settled: 0, failed: 0 } },
    })
  })
})
