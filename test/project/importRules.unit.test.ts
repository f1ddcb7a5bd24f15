import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const project = join(import.meta.dirname, '..', '..')
const copies: string[] = []

/** A project that has our rules, and of modules only those that are planted. */
const projectOf = (files: readonly (readonly [path: string, text: string])[]): string => {
  const copy = mkdtempSync(join(tmpdir(), 'koksmat-rules-'))
  copies.push(copy)
  for (const file of [
    'package.json',
    'biome.json',
    'tsconfig.json',
    '.gitignore',
    '.dependency-cruiser.cjs',
    'scripts',
  ]) {
    cpSync(join(project, file), join(copy, file), { recursive: true })
  }
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'))
  execFileSync('git', ['init', '-q', copy])
  for (const [path, text] of files) {
    mkdirSync(dirname(join(copy, path)), { recursive: true })
    writeFileSync(join(copy, path), `${text}\n`)
  }
  return copy
}

interface Checked {
  readonly status: number | null
  readonly said: string
}

const check = (cwd: string, command: string, args: readonly string[]): Checked => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  return { status, said: stdout + stderr }
}
const checkImports = (cwd: string) => check(cwd, process.execPath, ['scripts/importRules.ts'])
const checkStyle = (cwd: string) =>
  check(cwd, join(project, 'node_modules/.bin/biome'), [
    'ci',
    '--error-on-warnings',
    '--reporter=github',
    '--max-diagnostics=none',
    '.',
  ])

afterAll(() => {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true })
})

test('a project that keeps the rules passes', () => {
  const sound = projectOf([
    ['machines/sound.ts', `import type { AnyActorRef } from 'xstate'\n\nexport type Ref = AnyActorRef`],
    ['actors/webhook/door.ts', `import 'node:http'\nimport 'express'\nimport '../../machines/sound.ts'`],
    ['src/config/environment.ts', 'export const home: string | undefined = process.env.HOME'],
    ['src/signals.ts', `process.on('SIGTERM', () => {})`],
    ['src/main.ts', `import './signals.ts'\nimport '../actors/webhook/door.ts'\n\nprocess.exit(1)`],
  ])
  expect(checkImports(sound)).toMatchObject({ status: 0 })
  expect(checkStyle(sound)).toMatchObject({ status: 0 })
})

test('a check that has read no import of what is shipped fails', () => {
  expect(checkImports(projectOf([['src/lonely.ts', 'export const alone = true']]))).toMatchObject({ status: 1 })
})

describe('an import that the layout forbids fails the check', () => {
  const violations = [
    ['a machine does IO', 'machines/a.ts', `import 'node:fs'`, 'machines-decide'],
    ['a machine imports a driver', 'machines/b.ts', `import '../actors/x.ts'`, 'machines-decide'],
    [
      'a machine imports a type of a driver',
      'machines/c.ts',
      `import type {} from '../actors/x.ts'`,
      'machines-decide',
    ],
    ['a driver imports XState', 'actors/rabbitmq.ts', `import 'xstate'`, 'rabbitmq-knows-one-library'],
    ['a driver imports the library of another', 'actors/kafka/a.ts', `import 'amqplib'`, 'kafka-knows-one-library'],
    ['what drivers share imports a library', 'actors/a.ts', `import 'pg'`, 'actors-without-a-driver-have-no-library'],
    ['a driver imports the composition root', 'actors/poll.ts', `import '../src/x.ts'`, 'actors-do-io'],
    ['the service imports a test', 'src/a.ts', `import '../test/x.ts'`, 'src-is-not-tested-by-itself'],
    ['the service imports an example', 'src/b.ts', `import '../examples/x.ts'`, 'the-product-stands-alone'],
    ['the service needs a development dependency', 'src/c.ts', `import 'vitest'`, 'shipped-code-has-its-dependencies'],
    ['the inspector knows the service', 'inspector/a.ts', `import '../src/x.ts'`, 'the-inspector-is-a-guest'],
    ['the inspector imports a driver', 'inspector/b.ts', `import '../actors/x.ts'`, 'the-inspector-is-a-guest'],
    ['the inspector runs code of XState', 'inspector/c.ts', `import 'xstate'`, 'the-inspector-takes-no-code-of-xstate'],
    [
      'a driver knows the inspector',
      'actors/b.ts',
      `import '../inspector/x.ts'`,
      'the-service-lives-without-the-inspector',
    ],
    ['an import leads nowhere', 'src/d.ts', `import './nowhere.ts'`, 'nothing-unresolved'],
    ['two modules import each other', 'src/e.ts', `import './f.ts'`, 'no-cycles'],
  ] as const
  let checked: Checked

  beforeAll(() => {
    const others = ['actors', 'src', 'inspector', 'test', 'examples'].map(
      (folder) => [`${folder}/x.ts`, 'export {}'] as const,
    )
    const planted = violations.map(([, path, text]) => [path, text] as const)
    checked = checkImports(projectOf([...others, ...planted, ['src/f.ts', `import './e.ts'`]]))
  })

  test.each(violations)('%s', (_, path, __, rule) => {
    expect(checked.status).toBe(1)
    expect(
      checked.said
        .split('\n')
        .filter((line) => line.startsWith(`${path} `))
        .join('\n'),
    ).toContain(`: ${rule}`)
  })
})

describe('what only one place may do fails the check elsewhere', () => {
  const violations = [
    ['the environment', 'src/a.ts', 'export const a: string | undefined = process.env.HOME', 'in src/config only'],
    ['the environment, by another name', 'src/b.ts', 'export const { env } = process', 'say process.member'],
    ['the environment, imported', 'src/c.ts', `export { env } from 'node:process'`, 'Use the global'],
    [
      'the end of the process, listened for',
      'actors/poll.ts',
      `process.once('exit', () => {})`,
      'in src/signals.ts only',
    ],
    ['signals in the main program', 'src/main.ts', `process.on('SIGTERM', () => {})`, 'in src/signals.ts only'],
    ['an exit', 'src/signals.ts', 'process.exit(1)', 'in src/main.ts only'],
    ['the console', 'src/d.ts', `console.log('hello')`, 'noConsole'],
    ['a clock in a machine', 'machines/a.ts', 'export const now = (): number => Date.now()', 'noRestrictedGlobals'],
    ['a timer in a machine', 'machines/b.ts', 'setTimeout(() => {}, 1)', 'noRestrictedGlobals'],
    ['chance in a machine', 'machines/c.ts', 'export const luck = (): number => Math.random()', 'no random numbers'],
    ['any', 'src/e.ts', 'export const a: any = 1', 'noExplicitAny'],
    ['a default export', 'src/f.ts', 'export default 1', 'noDefaultExport'],
  ] as const
  let checked: Checked

  beforeAll(() => {
    checked = checkStyle(projectOf(violations.map(([, path, text]) => [path, text] as const)))
  })

  test.each(violations)('%s', (_, path, __, complaint) => {
    expect(checked.status).toBe(1)
    const complaints = checked.said.split('\n').filter((line) => line.includes(`/${path},line=`))
    expect(complaints.join('\n')).toContain(complaint)
  })
})
