import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freePort } from '../support/freePort.ts'
import { startProcess } from '../support/processDriver.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const index = join(import.meta.dirname, '../../src/index.ts')
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'koksmat-cli-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const run = async (...args: string[]) => {
  const env = { DATABASE_URL: undefined, KOKSMAT_ADMIN_PORT: String(await freePort()) }
  await using child = startProcess([main, ...args], { cwd: folder, env })
  const { code } = await child.exit
  return { code, output: child.output() }
}

const config = (sources: string): void =>
  writeFileSync(
    join(folder, 'controller.config.ts'),
    `import { defineController, poll, tableQueue } from ${JSON.stringify(index)}
    export default defineController({ sources: { ${sources} }, handlers: [] })`,
  )

describe('help', () => {
  it('lists every command and what the exit codes mean', async () => {
    const { code, output } = await run('--help')
    expect(code).toBe(0)
    for (const command of [
      'start',
      'check',
      'init',
      'status',
      'events',
      'send',
      'migrate',
      'graph',
      'pause',
      'drain',
    ]) {
      expect(output).toMatch(new RegExp(`^  ${command}\\b`, 'm'))
    }
    expect(output).toContain('Exit codes: 0 done')
  })

  it('shows examples of a command', async () => {
    const { code, output } = await run('events', 'redrive', '--help')
    expect(code).toBe(0)
    expect(output).toContain('$ koksmat-controller events redrive 42 43')
    expect(output).toContain('--json')
  })
})

it('a reader of stdout that has gone is no crash', async () => {
  const shell = `{ "$0" ${main} check --matrix; echo "ended with $?" >&2; } | true`
  await using child = startProcess(['-c', shell, process.execPath], { command: 'sh', cwd: folder })
  await child.exit
  expect(child.output()).toBe('ended with 0\n')
})

describe('a wrong command line exits with 2 and begins nothing', () => {
  it.each([
    [[], /Say which command/],
    [['strat'], /unknown command 'strat'/],
    [['status', '--colour'], /unknown option '--colour'/],
    [['events', 'list', '--limit', '0'], /from 1 to 1,000/],
    [['events', 'redrive'], /Say which events/],
    [['events', 'redrive', 'abc'], /is not the number of an event/],
    [['events', 'drop', '1'], /say --yes/],
    [['pause'], /missing required argument/],
    [['credit', 'orders', '0'], /from 1 to 10,000/],
    [['log-level', 'loud'], /Allowed choices are trace/],
    [['rotate-secret', 'hook', '--add', '--retire', '1'], /not both/],
  ])('%j', async (args, message) => {
    const { code, output } = await run(...args)
    expect(output).toMatch(message)
    expect(output).toContain('(USAGE)')
    expect(code).toBe(2)
  })

  it('says so in red only where colours are wanted', async () => {
    const red = '\u001b[31m'
    const output = async (env: Record<string, string>) => {
      await using child = startProcess([main, 'strat'], { cwd: folder, env })
      await child.exit
      return child.output()
    }
    expect(await output({})).not.toContain(red)
    expect(await output({ FORCE_COLOR: '1' })).toContain(`${red}unknown command 'strat'`)
  })

  it('says so as one JSON value with --json', async () => {
    const { code, output } = await run('nope', '--json')
    expect(code).toBe(2)
    expect(JSON.parse(output)).toMatchObject({ error: { code: 'USAGE' } })
  })
})

describe('check', () => {
  it('says what there is when the configuration is fine', async () => {
    config(`orders: tableQueue({ queue: 'orders' })`)
    const { code, output } = await run('check', '--json')
    expect(JSON.parse(output)).toEqual({ ok: true, sources: { orders: 'tableQueue' }, handlers: [] })
    expect(code).toBe(0)
  })

  it('gives all problems at once as JSON and exits with 2', async () => {
    config(`orders: tableQueue({ queue: 'orders', credit: 0 }), 'No': tableQueue({ queue: 'x' })`)
    const { code, output } = await run('check', '--json')
    expect(code).toBe(2)
    const { error } = JSON.parse(output)
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.problems.map(({ path }: { path: string }) => path).sort()).toEqual([
      'sources.No',
      'sources.orders.credit',
    ])
  })

  it('prints with --matrix that every state of the machines answers every event', async () => {
    const { code, output } = await run('check', '--matrix', '--json')
    expect(code).toBe(0)
    const { controller, source } = JSON.parse(output)
    expect(controller).toContainEqual({ state: 'running', event: 'queue.event', answer: 'handled' })
    expect(source).toContainEqual({ state: 'disconnecting', event: 'source.drain', answer: 'ignored' })
  })

  it('exits with 2 where there is no configuration', async () => {
    const { code, output } = await run('check')
    expect(output).toContain('(CONFIG_NOT_FOUND)')
    expect(code).toBe(2)
  })
})

describe('without a running controller', () => {
  it.each([
    ['status'],
    ['top'],
    ['drain'],
    ['pause orders'],
    ['credit orders 5'],
    ['log-level debug'],
    ['graph'],
    ['events list'],
    ['events show 1'],
  ])('%s exits with 4', async (command) => {
    const { code, output } = await run(...command.split(' '), '--json')
    expect(JSON.parse(output)).toMatchObject({ error: { code: 'NOT_RUNNING' } })
    expect(code).toBe(4)
  })

  it('graph draws the machines of the configuration, nothing in them active', async () => {
    config(`orders: tableQueue({ queue: 'orders' })`)
    const { code, output } = await run('graph')
    expect(output).toMatch(/^stateDiagram-v2\n/)
    expect(output).toContain('state "source:orders" as source_orders {')
    expect(output).not.toMatch(/^ {2}class /m)
    expect(code).toBe(0)
  })

  it('migrate --print needs no database', async () => {
    config(`orders: tableQueue({ queue: 'orders' })`)
    const { code, output } = await run('migrate', '--print')
    expect(output).toMatch(/^begin;\n/)
    expect(output.trimEnd()).toMatch(/commit;$/)
    expect(code).toBe(0)
  })

  it('send says how a row reaches a poller', async () => {
    config(`invoices: poll({ table: 'invoices', mark: { seen: true }, type: 'invoice.created' })`)
    const { code, output } = await run('send', 'invoices', '{}')
    expect(output).toContain('insert one into invoices')
    expect(code).toBe(2)
  })
})

describe('init', () => {
  it.each([
    ['"type": "module"', { type: 'module' }, 'ts'],
    ['"type": "commonjs", as npm init writes it,', { type: 'commonjs' }, 'mts'],
    ['no type', {}, 'mts'],
  ])('in a package with %s it writes a controller that check accepts', async (_what, manifest, extension) => {
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
    mkdirSync(join(folder, 'node_modules/koksmat-controller'), { recursive: true })
    const exported = { type: 'module', exports: './index.js' }
    writeFileSync(join(folder, 'node_modules/koksmat-controller/package.json'), JSON.stringify(exported))
    writeFileSync(join(folder, 'node_modules/koksmat-controller/index.js'), `export * from ${JSON.stringify(index)}`)

    const { code, output } = await run('init', '--json')
    expect(JSON.parse(output)).toMatchObject({
      written: [`controller.config.${extension}`, `handlers/orderCreated.${extension}`, '.gitignore'],
      kept: [],
    })
    expect(code).toBe(0)
    const checked = await run('check', '--json')
    expect(JSON.parse(checked.output)).toEqual({
      ok: true,
      sources: { orders: 'tableQueue' },
      handlers: ['order.created'],
    })
  })

  it('overwrites nothing, and adds no second configuration', async () => {
    config('')
    const file = join(folder, 'controller.config.ts')
    const mine = readFileSync(file, 'utf8')
    writeFileSync(join(folder, '.gitignore'), 'dist/')
    const { output } = await run('init', '--json')
    expect(JSON.parse(output)).toMatchObject({ written: ['.gitignore'], kept: ['controller.config.ts'] })
    expect(readFileSync(file, 'utf8')).toBe(mine)
    expect(readFileSync(join(folder, '.gitignore'), 'utf8')).toBe('dist/\n.koksmat/\n')
    expect(JSON.parse((await run('init', '--json')).output)).toMatchObject({ written: [] })
    expect(existsSync(join(folder, 'handlers'))).toBe(false)
  })
})
