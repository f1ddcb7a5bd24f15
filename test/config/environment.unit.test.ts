import { expect, test } from 'vitest'
import { createEnvironment } from '../../src/config/environment.ts'

const files: Readonly<Record<string, string>> = {
  '/secret': 'from file\n',
  '/crlf': 'from file\r\n',
  '/empty': '\n',
  '/two': 'a\n\n',
}

const readFile = (path: string): string => {
  const text = files[path]
  if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
  return text
}

test('a secret stands in the variable or in the file it names, without the line end', () => {
  const environment = createEnvironment({ A: 'plain', B_FILE: '/secret', C_FILE: '/crlf', D_FILE: '/two' }, readFile)
  expect(environment.secret('A')).toEqual({ value: 'plain' })
  expect(environment.secret('B')).toEqual({ value: 'from file' })
  expect(environment.secret('C')).toEqual({ value: 'from file' })
  expect(environment.secret('D')).toEqual({ value: 'a\n' })
})

test('unset is neither a value nor a problem, and empty is unset', () => {
  const environment = createEnvironment({ A: '', B: 'x', B_FILE: '' }, readFile)
  expect(environment.secret('A')).toEqual({})
  expect(environment.secret('Z')).toEqual({})
  expect(environment.secret('B')).toEqual({ value: 'x' })
})

test('two values, a missing and an empty file are problems, told without the value', () => {
  const environment = createEnvironment({ A: 'x', A_FILE: '/secret', B_FILE: '/gone', C_FILE: '/empty' }, readFile)
  expect(environment.secret('A').problem).toBe('both A and A_FILE are set')
  expect(environment.secret('B').problem).toBe('the file B_FILE names could not be read (ENOENT)')
  expect(environment.secret('C').problem).toBe('the file C_FILE names is empty')
})

test('what was asked for is known', () => {
  const environment = createEnvironment({}, readFile)
  environment.plain('PORT')
  environment.secret('TOKEN')
  expect([...environment.asked]).toEqual(['PORT', 'TOKEN', 'TOKEN_FILE'])
})
