import { randomBytes } from 'node:crypto'
import { globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, sep } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { freePort } from '../support/freePort.ts'
import { startProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'

/** The package as a stranger gets it: packed, installed into an empty folder, and used from there. */
const project = join(import.meta.dirname, '../..')
const home = mkdtempSync(join(tmpdir(), 'koksmat-package-'))
const app = join(home, 'app')
const schema = `package_${randomBytes(4).toString('hex')}`
const PATH = [join(project, 'node_modules/.bin'), process.env['PATH']].join(delimiter)

/** Without what an `npm test` around it has set: that npm's project is not this one. */
const npmFree = Object.fromEntries(
  Object.keys(process.env).flatMap((name) =>
    /^npm_(package|lifecycle|command)/.test(name) ? [[name, undefined]] : [],
  ),
)

const run = async (command: string, args: readonly string[], cwd: string): Promise<string> => {
  await using child = startProcess(args, { command, cwd, env: { ...npmFree, PATH } })
  const { code } = await child.exit
  expect(code, child.output()).toBe(0)
  return child.output()
}

beforeAll(async () => {
  mkdirSync(app)
  writeFileSync(join(app, 'package.json'), '{ "private": true }\n')
  await run('npm', ['pack', '--pack-destination', home], project)
  const [tarball] = globSync('*.tgz', { cwd: home })
  await run('npm', ['i', '--no-audit', '--no-fund', join(home, tarball ?? '')], app)
}, 120_000)

afterAll(async () => {
  rmSync(home, { recursive: true, force: true })
  const database = new Client({ connectionString: inject('databaseUrl') })
  await database.connect()
  await database.query(`drop schema if exists ${schema} cascade`)
  await database.end()
})

it('the package holds compiled JavaScript with its types, what that reads, the docs, and nothing else', () => {
  const files = globSync('**/*.*', { cwd: join(app, 'node_modules/koksmat-controller') }).map((file) =>
    file.replaceAll(sep, '/'),
  )
  const allowed =
    /^(package\.json|README\.md|CHANGELOG\.md|docs\/[^/]+\.(md|yaml)|dist\/(src|machines|actors|inspector)\/.+\.(js|d\.ts|sql))$/
  const page =
    /^dist\/inspector\/ui\/(index\.html|assets\/(index-[^/]+\.(js|css)|icon-[^/]+\.svg|elk-[^/]+\/(elk-worker\.min\.js|NOTICE\.txt)))$/
  expect(files.filter((file) => !(allowed.test(file) || page.test(file)))).toEqual([])
  const compiled = files.filter((file) => !page.test(file))

  const without = (ending: string) =>
    compiled.filter((file) => file.endsWith(ending)).map((file) => file.slice(0, -ending.length))
  expect(without('.js').sort()).toEqual(without('.d.ts').sort())
  expect(files).toEqual(
    expect.arrayContaining([
      'dist/src/main.js',
      'dist/src/index.d.ts',
      'dist/machines/index.js',
      'dist/inspector/ui/index.html',
      'docs/handlers.md',
    ]),
  )
})

it('every entry of the package can be imported, and what it exports is there', async () => {
  const entries = ['', '/machines', '/testing', '/inspector'].map((entry) => `koksmat-controller${entry}`)
  const named = ['defineController', 'controllerMachine', 'checkMachine', 'createInspector']
  const code = `for (const [entry, name] of ${JSON.stringify(entries.map((entry, index) => [entry, named[index]]))})
    if ((await import(entry))[name] === undefined) throw new Error(entry + ' has no ' + name)`
  await run('node', ['--input-type=module', '-e', code], app)
})

const started = async (command: string, args: readonly string[]) => {
  const port = await freePort()
  const env = {
    ...npmFree,
    PATH,
    DATABASE_URL: inject('databaseUrl'),
    KOKSMAT_JOURNAL_SCHEMA: schema,
    KOKSMAT_ADMIN_PORT: String(port),
    PORT: String(await freePort()),
  }
  const controller = startProcess(args, { command, cwd: app, env })
  const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
  const hasPage = async () => (await (await ask('/inspector/')).text()).includes('<script type="module"')
  const ready = async () => (await ask('/readyz')).status === 200 && hasPage()
  await until(ready, 60_000).catch(async (cause) => {
    await controller.end()
    throw new Error(`The controller was never ready. Its output:\n${controller.output()}`, { cause })
  })
  return controller
}

const drained = { msg: 'drained', clean: true, reason: 'SIGINT', unsettled: [] }

it('in an empty folder npx init and npx start make a ready controller, and Ctrl-C drains it clean', async () => {
  await run('npx', ['koksmat-controller', 'init'], app)
  await using controller = await started('npx', ['koksmat-controller', 'start'])
  controller.signal('SIGINT', { group: true })
  // How npx itself ends then is up to npm.
  await controller.exit
  expect(controller.log().filter(({ msg }) => msg === 'drained')).toMatchObject([drained])
}, 120_000)

it('the installed command ends with code 0 after SIGINT', async () => {
  await run('npx', ['koksmat-controller', 'init'], app)
  await using controller = await started(join(app, 'node_modules/.bin/koksmat-controller'), ['start'])
  controller.signal('SIGINT')
  expect(await controller.exit, controller.output()).toEqual({ code: 0, signal: null })
  expect(controller.log().at(-1)).toMatchObject(drained)
}, 120_000)
