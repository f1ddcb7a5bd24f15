import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { ControllerError } from '../../machines/errors.ts'
import type { Problem } from '../../src/config/problems.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { type ControllerDefinition, kafka, on, poll, rabbitmq, tableQueue, unsigned, webhook } from '../../src/index.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../docs/configuration.md'), 'utf8')

/** The first column of the table under a heading. */
const documented = (heading: string): string[] => {
  const section = page.split(/^#{2,3} /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => String(name))
}

/** What the program says it knows, when asked with an option that it cannot know. */
const known = (definition: object): string[] => {
  try {
    resolveConfig(definition as ControllerDefinition, {})
  } catch (thrown) {
    const problems = (thrown as ControllerError).fields['problems'] as Problem[]
    const listed = problems.find(({ path }) => path.endsWith('qqqqqqqqqqqqqqqqqqqq'))?.expected ?? ''
    return [...listed.matchAll(/`(\w+)`/g)].map(([, name]) => String(name))
  }
  return []
}

const unknown = { qqqqqqqqqqqqqqqqqqqq: 1 }
const source = (definition: object): object => ({ sources: { a: definition }, handlers: [] })
const everySource = ['credit', 'creditBytes']

test.each([
  ['The controller', { sources: {}, handlers: [], ...unknown }, []],
  ['rabbitmq', source(rabbitmq({ queue: 'a', ...unknown })), everySource],
  ['kafka', source(kafka({ topics: ['a'], groupId: 'a', ...unknown })), everySource],
  ['tableQueue', source(tableQueue({ queue: 'a', ...unknown })), everySource],
  ['webhook', source(webhook({ path: '/a', type: 'a', signature: unsigned(), ...unknown })), everySource],
  ['Handlers', { sources: {}, handlers: [on('a', { timeout: '1s', ...unknown }, () => {})] }, []],
])('the page lists every option of "%s" and no other', (heading, definition, others) => {
  expect([...documented(heading), ...others].sort()).toEqual(known(definition).sort())
})

test('the page lists every option of "poll" and no other', () => {
  const trigger = known(source(poll({ table: 'a', type: 'a', delete: true, ...unknown })))
  const condition = known(source(poll({ query: 'a', type: 'a', ...unknown })))
  expect([...documented('poll'), ...everySource].sort()).toEqual([...new Set([...trigger, ...condition])].sort())
})

test('the page lists every variable that is read and no other', () => {
  const read = new Set<string>()
  const variables = new Proxy<Record<string, string>>({}, { get: (_, name) => void read.add(String(name)) })
  const sources = { a: rabbitmq({ queue: 'a' }), b: kafka({ topics: ['b'], groupId: 'b' }) }
  expect(() => resolveConfig({ sources, handlers: [] }, variables)).toThrow(ControllerError)
  const names = [...read].filter((name) => !name.endsWith('_FILE'))
  expect(documented('Environment').sort()).toEqual(names.sort())
})

test('the page marks as secret what may stand in a file', () => {
  const read = new Set<string>()
  const variables = new Proxy<Record<string, string>>({}, { get: (_, name) => void read.add(String(name)) })
  const sources = { a: rabbitmq({ queue: 'a' }), b: kafka({ topics: ['b'], groupId: 'b' }) }
  expect(() => resolveConfig({ sources, handlers: [] }, variables)).toThrow(ControllerError)
  const inFiles = [...read].flatMap((name) => (name.endsWith('_FILE') ? [name.slice(0, -'_FILE'.length)] : []))
  const secret = [...page.matchAll(/^\| `(\w+)` \|.*Secret\. \|$/gm)].map(([, name]) => name)
  expect(secret.sort()).toEqual(inFiles.sort())
})
