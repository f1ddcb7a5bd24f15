import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProcess } from '../support/processDriver.ts'

/**
 * Every `ts` block of the README and of docs/ is a module of its own that the compiler accepts; one that begins with
 * `// run` is run as well. They import `koksmat-controller` as a user does, and get the sources.
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
    const sources = Object.entries(entries).map(([name, path]) => [name, pathToFileURL(join(project, path)).href])
    const hook = `import { registerHooks } from 'node:module'
    const sources = ${JSON.stringify(Object.fromEntries(sources))}
    registerHooks({ resolve: (name, context, next) => next(sources[name] ?? name, context) })`
    const imported = `data:text/javascript,${encodeURIComponent(hook)}`
    await using runner = startProcess(['--import', imported, join(folder, file)], { cwd: folder })
    expect(await runner.exit, runner.output()).toMatchObject({ code: 0 })
  },
)

test('there are snippets, and some of them run', () => {
  expect(snippets.length).toBeGreaterThan(2)
  expect(snippets.some(({ code }) => code.startsWith('// run\n'))).toBe(true)
})
