import { describe, expect, test } from 'vitest'
import { ControllerError } from '../../machines/errors.ts'
import type { Problem } from '../../src/config/problems.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { type ControllerDefinition, env, github, on, rabbitmq, webhook } from '../../src/index.ts'
import { bad, canary, empty, made, nothing } from './bad.ts'

describe('a bad configuration is refused, with the path and what would be right, and never shows a secret', () => {
  test.each(bad)('$name', ({ definition, variables, path, expected }) => {
    const error = refusalOf(definition, variables)
    const problems = problemsOf(error)
    expect(problems.map((problem) => problem.path)).toEqual([path])
    expect(problems[0]?.expected).toContain(expected)
    expect(error.message).toContain(`${path} (${problems[0]?.value}): ${problems[0]?.problem}`)
    expect(error.message + JSON.stringify(error.fields)).not.toMatch(/canary|12345678/)
  })
})

test('all problems are reported at once, one a line', () => {
  const error = refusalOf(
    {
      sources: {
        orders: made(rabbitmq, { queue: 5, credit: 0, url: `amqps//${canary}` }),
        github: webhook({ path: 'x', signature: github([env('A'), env('B'), canary]), type: 'a' }),
      },
      handlers: [on('a', { timeout: '1ms', atomic: true, long: true }, nothing), on('a', nothing)],
      concurrency: 0,
    },
    { PORT: 'x', KOKSMAT_ADMIN_HOST: '::' },
  )
  expect(problemsOf(error).map(({ path }) => path)).toEqual([
    'sources.orders.credit',
    'sources.orders.queue',
    'sources.orders.url',
    'sources.github.path',
    'sources.github.signature',
    'sources.github.signature',
    'sources.github.signature',
    'handlers[0]',
    'concurrency',
    'handlers[1].type',
    'PORT',
    'KOKSMAT_ADMIN_HOST',
  ])
  expect(error.message.split('\n')).toHaveLength(13)
  expect(error.message).not.toContain(canary)
})

test('what a value does to a terminal is taken out of the message', () => {
  const error = refusalOf({ ...empty, codeVersion: ' \u001b[2J\nforged line ' })
  expect(error.message).toContain('codeVersion (" \u0020forged line ")')
  expect(error.message.split('\n')).toHaveLength(2)
})

function refusalOf(definition: unknown, variables: Readonly<Record<string, string>> = {}): ControllerError {
  try {
    resolveConfig(definition as ControllerDefinition, variables)
  } catch (thrown) {
    if (thrown instanceof ControllerError && thrown.code === 'CONFIG_INVALID') return thrown
    throw thrown
  }
  throw new Error('it was accepted')
}

function problemsOf(error: ControllerError): readonly Problem[] {
  return error.fields['problems'] as readonly Problem[]
}
