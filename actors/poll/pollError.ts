import { ControllerError, type ErrorCode } from '../../machines/errors.ts'

/** What a failed query or connection means to whoever runs the source. `otherwise` is for what may pass by itself. */
export const pollError = (
  thrown: unknown,
  otherwise: 'SOURCE_CONNECT_FAILED' | 'SOURCE_CONNECTION_LOST',
): ControllerError => {
  if (thrown instanceof ControllerError) return thrown
  const message = messageOf(thrown)
  const code = codeFor(stateOf(thrown), message) ?? otherwise
  return new ControllerError(code, `${prefixes[code] ?? 'Postgres failed'}: ${message}.`, { cause: thrown })
}

/** SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const codeFor = (state: string, message: string): ErrorCode | undefined => {
  if (state === '57014' || message === 'Query read timeout') return 'SOURCE_TIMED_OUT'
  if (['42P01', '42703', '3F000', '3D000'].includes(state)) return 'SOURCE_NOT_FOUND'
  // Classes 22 data exception, 42 syntax or access rule, 0A not supported, P0 raised by a function or trigger, …
  if (/^(0A|21|22|23|42|44|P0)/.test(state)) return 'SOURCE_UNUSABLE'
  return undefined
}

const prefixes: Partial<Record<ErrorCode, string>> = {
  SOURCE_TIMED_OUT: 'Postgres did not answer in time',
  SOURCE_NOT_FOUND: 'Postgres does not know what the source reads',
  SOURCE_UNUSABLE: 'Postgres refused what the source asked',
  SOURCE_CONNECT_FAILED: 'Postgres could not be reached',
  SOURCE_CONNECTION_LOST: 'The connection to Postgres is of no use any more',
}

const stateOf = (thrown: unknown): string =>
  typeof thrown === 'object' && thrown !== null && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : ''

const messageOf = (thrown: unknown): string => {
  if (thrown instanceof AggregateError && thrown.message === '') return thrown.errors.map(messageOf).join(', ')
  return (thrown instanceof Error ? thrown.message : String(thrown)).replace(/\.$/, '')
}
