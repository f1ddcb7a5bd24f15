import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProcess } from '../support/processDriver.ts'

/**
 * Every `ts` block of the README and of docs/ is a module of its own that the compiler accepts. One that begins with
 * `// run` is run; what sources and handlers the others describe is checked as `start` checks it. They import
 * `koksmat-controller` as a user does, and get the sources.
 */
const project = resolve(import.meta.dirname, '../..')

/** What a user imports, and the source that stands for it here. */
const entries: Readonly<Record<string, string>> = {
  'koksmat-controller': 'src/index.ts',
  'koksmat-controller/machines': 'machines/index.ts',
  'koksmat-controller/inspector': 'inspector/index.ts',
  'koksmat-controller/testing': 'src/testing.ts',
}

interface Snippet {
  readonly where: string
  readonly file: string
  readonly code: string
}

const pages = ['README.md', ...readdirSync(join(project, 'docs')).map((name) => `docs/${name}`)].filter(
  (page) => page.endsWith('.md') && existsSync(join(project, page)),
)

const snippets: readonly Snippet[] = pages.flatMap((page) => {
  const text = readFileSync(join(project, page), 'utf8')
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length
    return { where: `${page}:${line}`, file: `${basename(page, '.md')}-${line}.ts`, code: match[1] ?? '' }
  })
})

let folder: string
let complaints = ''

beforeAll(async () => {
  folder = mkdtempSync(join(project, '.snippets-'))
  for (const { file, code } of snippets) writeFileSync(join(folder, file), code)
  const compilerOptions = {
    isolatedDeclarations: false,
    declaration: false,
    paths: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, [`../${file}`]])),
  }
  const include = snippets.map(({ file }) => file)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: '../tsconfig.json', compilerOptions, include }),
  )
  await using compiler = startProcess([
    join(project, 'node_modules/@typescript/native/bin/tsc'),
    '-p',
    folder,
    '--pretty',
    'false',
  ])
  await compiler.exit
  complaints = compiler.output()
})
afterAll(() => rmSync(folder, { recursive: true }))

test.each(snippets)('the snippet at $where is accepted by the compiler', ({ file }) => {
  expect(complaints.split('\n').filter((line) => line.includes(file))).toEqual([])
})

test.each(snippets.filter(({ code }) => code.startsWith('// run\n')))(
  'the snippet at $where runs',
  async ({ file }) => {
    await using runner = startProcess([...withEntries(), join(folder, file)], { cwd: folder })
    expect(await runner.exit, runner.output()).toMatchObject({ code: 0 })
  },
)

/** Lets a Node find the sources under the names that a user imports. */
const withEntries = (): readonly string[] => {
  const sources = Object.entries(entries).map(([name, path]) => [name, pathToFileURL(join(project, path)).href])
  const hook = `import { registerHooks } from 'node:module'
    const sources = ${JSON.stringify(Object.fromEntries(sources))}
    registerHooks({ resolve: (name, context, next) => next(sources[name] ?? name, context) })`
  return ['--import', `data:text/javascript,${encodeURIComponent(hook)}`]
}

/** These begin to listen, or to handle events, when they are imported. */
const startsSomething = /^\/\/ run\n|\b(startController|createInspector)\(/

test('the sources and handlers of all snippets are configurations that start would take', async () => {
  const described = snippets.filter(({ code }) => !startsSomething.test(code)).map(({ file, code }) => [file, code])
  const script = `
    import { join } from 'node:path'
    import { pathToFileURL } from 'node:url'
    import { resolveConfig } from ${JSON.stringify(pathToFileURL(join(project, 'src/config/resolve.ts')).href)}
    const secret = 'whsec_' + Buffer.from('a secret of at least 24 bytes').toString('base64')
    const standsFor = (name) => name.endsWith('_URL') ? 'postgres://host/database' : name.endsWith('_BROKERS') ? 'host:9092' : secret
    let checked = 0
    for (const [file, code] of ${JSON.stringify(described)}) {
      const { default: whole, ...parts } = await import(pathToFileURL(join(${JSON.stringify(folder)}, file)).href)
      const given = Object.entries(parts).flatMap(([name, part]) => Array.isArray(part) ? part.map((one) => [name, one]) : [[name, part]])
      const definition = whole ?? {
        sources: Object.fromEntries(given.filter(([, part]) => part?.driver !== undefined)),
        handlers: given.map(([, part]) => part).filter((part) => part?.options !== undefined && part.driver === undefined),
      }
      const names = [...code.matchAll(/env\\('(\\w+)'/g)].map(([, name]) => name)
      const environment = { AMQP_URL: 'amqp://host', KAFKA_BROKERS: 'host:9092' }
      for (const name of names) environment[name] = standsFor(name)
      try {
        const { sources, handlers } = resolveConfig(definition, environment)
        checked += Object.keys(sources).length + handlers.length
      } catch (error) {
        console.log(file + ': ' + error.message)
      }
    }
    console.log(checked + ' checked')`
  await using checker = startProcess([...withEntries(), '--input-type=module', '--eval', script], { cwd: folder })
  await checker.exit
  expect(checker.output()).toMatch(/^[2-9]\d checked\n$/)
})

test('there are snippets, and some of them run', () => {
  expect(snippets.length).toBeGreaterThan(2)
  expect(snippets.some(({ code }) => code.startsWith('// run\n'))).toBe(true)
})
