import { ControllerError } from '../../machines/errors.ts'

/**
 * What a failed query means. SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const ofConnection = new Set([
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '25P03', // idle_in_transaction_session_timeout
  '25006', // read_only_sql_transaction: a standby now, the next connection finds the primary
  '53300', // too_many_connections
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])
const ofConflict = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
])
const ofWaiting = new Set([
  '55P03', // lock_not_available
  '57014', // query_canceled: a statement_timeout
])
const withoutCode =
  /^(Connection terminated|Query read timeout|timeout exceeded when trying to connect|timeout expired|Client (has encountered|was closed))/

const codeOf = (thrown: unknown): string =>
  typeof thrown === 'object' && thrown !== null && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : ''

/** The connection is gone, or of no use any more. */
export const isConnectionLoss = (thrown: unknown): boolean => {
  const code = codeOf(thrown)
  return (
    ofConnection.has(code) ||
    /^08...$/.test(code) ||
    (code === '' && thrown instanceof Error && withoutCode.test(thrown.message))
  )
}

/** Nobody answered; that the connection was cut is another thing. */
export const isTimeout = (thrown: unknown): boolean => thrown instanceof Error && /timeout/i.test(thrown.message)

/** The database ended the transaction, whatever was asked in it. A wait that took too long is the asker's own. */
export const isBrokenOff = (thrown: unknown): boolean => ofConflict.has(codeOf(thrown)) || isConnectionLoss(thrown)

/** The same again may succeed. */
export const isTransient = (thrown: unknown): boolean => ofWaiting.has(codeOf(thrown)) || isBrokenOff(thrown)

/** Postgres cannot store the value (class 22), e.g. JSON that only JavaScript takes. */
export const isDataRefused = (thrown: unknown): boolean => /^22...$/.test(codeOf(thrown))

export const isLockTimeout = (thrown: unknown): boolean => codeOf(thrown) === '55P03'

export const unavailable = (cause?: unknown): ControllerError => {
  if (cause instanceof ControllerError) return cause
  const why = cause instanceof Error ? cause.message || cause.name : 'it is closed'
  return new ControllerError('JOURNAL_UNAVAILABLE', `The journal (Postgres) cannot be used: ${why}.`, { cause })
}
