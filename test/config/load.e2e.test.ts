import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProcess } from '../support/processDriver.ts'

/** In real processes: the test runner loads modules in a way of its own. */
let folder: string
const project = resolve(import.meta.dirname, '../..')

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'koksmat-load-'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
})
afterAll(() => rmSync(folder, { recursive: true }))

interface Loaded {
  readonly code?: string
  readonly message?: string
  readonly file?: string
  readonly keys?: readonly string[]
}

const load = async (files: Readonly<Record<string, string>>, path?: string, cwd = folder): Promise<Loaded> => {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  const script = `
    import { loadDefinition } from ${JSON.stringify(join(project, 'src/config/load.ts'))}
    const told = await loadDefinition(${JSON.stringify(path)}).then(
      ({ file, definition }) => ({ file, keys: Object.keys(definition) }),
      ({ code, message }) => ({ code, message }))
    process.stdout.write(JSON.stringify(told))`
  await using loader = startProcess(['--input-type=module', '--eval', script], { cwd })
  await loader.exit
  return JSON.parse(loader.output()) as Loaded
}

const definition = 'export default { sources: {}, handlers: [] }'

test('a configuration in TypeScript is loaded as it is', async () => {
  const typed = `const handlers: string[] = []\nexport default { sources: {}, handlers } satisfies object`
  expect(await load({ 'typed.ts': typed }, 'typed.ts')).toEqual({
    file: join(folder, 'typed.ts'),
    keys: ['sources', 'handlers'],
  })
})

test('without a name the file of the working folder is taken, TypeScript first', async () => {
  expect(await load({ 'controller.config.mjs': definition })).toMatchObject({
    file: join(folder, 'controller.config.mjs'),
  })
  expect(await load({ 'controller.config.ts': definition })).toMatchObject({
    file: join(folder, 'controller.config.ts'),
  })
})

test('a file that is not there is CONFIG_NOT_FOUND and says what to do', async () => {
  const told = await load({}, 'gone.ts')
  expect(told).toMatchObject({ code: 'CONFIG_NOT_FOUND' })
  expect(told.message).toContain(join(folder, 'gone.ts'))
  expect(told.message).toContain('init')
  expect(await load({}, undefined, tmpdir())).toMatchObject({ code: 'CONFIG_NOT_FOUND' })
})

test.each([
  ['a throw', 'throws.ts', 'const a: number = 1\nthrow new Error(`no ${a}`)', 'Error: no 1', 'throws.ts:2:7'],
  ['a syntax error in TypeScript', 'syntax.ts', 'export default {\n  a: ,\n}', 'SyntaxError', 'syntax.ts:2'],
  [
    'a syntax error in JavaScript',
    'syntax.mjs',
    'export default {\n  a: ,\n}',
    'SyntaxError: Unexpected token',
    'syntax.mjs:2',
  ],
  [
    'TypeScript that Node does not run',
    'enums.ts',
    `enum A { B }\n${definition}`,
    'enum is not supported',
    'enums.ts:1',
  ],
  ['a missing import', 'imports.ts', `import "./not-there.ts"\n${definition}`, 'not-there.ts', 'imports.ts'],
  ['no default export', 'nothing.ts', 'export const a = 1', 'export default defineController', 'nothing.ts'],
])('%s is CONFIG_INVALID with its cause and place', async (_what, name, content, cause, place) => {
  const told = await load({ [name]: content }, name)
  expect(told).toMatchObject({ code: 'CONFIG_INVALID' })
  expect(told.message).toContain(cause)
  expect(told.message).toContain(place)
})

test('a secret in an error of the file is not shown', async () => {
  const told = await load({ 'secret.ts': 'throw new Error("cannot reach amqp://user:hunter2@host")' }, 'secret.ts')
  expect(told.message).toContain('amqp://[redacted]@host')
})
