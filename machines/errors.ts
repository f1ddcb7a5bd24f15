/**
 * Every error that reaches a user carries a stable code from this table. The message says what happened and what
 * would be right; `docs/errors.md` holds the same table, and a test compares the two.
 */
export const errorCodes = {
  CONFIG_INVALID: 'The configuration has problems; all of them are listed, each with its path.',
  CONFIG_NOT_FOUND: 'No controller.config.ts was found where the command was run; run `init` or name the file.',
  USAGE: 'The command line is not one that the program knows; see --help.',
  PORT_IN_USE: 'Another process listens on the port; stop it or name another one.',
  SOURCE_CONNECT_FAILED: 'A source could not reach its service; it backs off and tries again by itself.',
  SOURCE_CONNECTION_LOST: 'A source was cut off from its service; it backs off and connects again by itself.',
  SOURCE_NOT_FOUND: 'What the source listens to (a queue, topic or table) is not there and was not to be declared.',
  SOURCE_UNUSABLE:
    'What the source reads is there, but not usable as configured; the message says what would be right.',
  SOURCE_TIMED_OUT: 'The service did not answer a command of the source in time.',
  JOURNAL_UNAVAILABLE: 'The journal (Postgres) did not answer in time; what was asked for is not durable.',
  JOURNAL_OUTDATED: 'The journal schema is older than this version and may not be migrated by itself; run `migrate`.',
  JOURNAL_TOO_NEW: 'The journal schema is newer than this version; run the version that wrote it, or a later one.',
  EMBEDDED_POSTGRES_FAILED: 'The embedded PostgreSQL did not start; set DATABASE_URL or see its log.',
  EVENT_MALFORMED: 'The payload is not what its content type says (JSON, UTF-8); the event is parked as it came.',
  EVENT_INVALID: 'The payload does not match the schema of its handler; the event is parked.',
  EVENT_TOO_LARGE: 'The payload is larger than the source takes; the event is parked or refused.',
  EVENT_UNHANDLED: 'No handler and no ignore rule matches the type of the event; the event is parked.',
  HANDLER_FAILED: 'The handler threw; the event is tried again later, and parked after its last attempt.',
  HANDLER_TIMED_OUT: 'The handler took longer than its timeout; counted as a failed attempt.',
  HANDLER_INTERRUPTED: 'A shutdown ended the handler; the event is given back and no attempt is counted.',
  PROCESS_DIED: 'The process died repeatedly while it handled this event; the event is parked.',
  LOCK_TIMED_OUT: 'An atomic handler waited for its lock longer than the lock wait; counted as a failed attempt.',
  LEASE_LOST: 'Another replica took the event over while this one was frozen; its result has no effect.',
  SIGNATURE_INVALID: 'The webhook signature is missing, forged or stale.',
  LIMIT_EXCEEDED: 'A bound (rate, size, count) was reached; try again later.',
  COMMAND_INVALID: 'A command names something that is not there, or is not complete; nothing was changed.',
  COMMAND_REFUSED: 'A command does not go together with the present state, or was not confirmed; nothing was changed.',
  NOT_RUNNING: 'No controller answers on the admin port.',
} as const

export type ErrorCode = keyof typeof errorCodes

/** What every thrown error of this package is: a code from the table, a message for people, and fields for logs. */
export class ControllerError extends Error {
  readonly code: ErrorCode
  readonly fields: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; fields?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ControllerError'
    this.code = code
    this.fields = options.fields ?? {}
  }
}

/** Whatever was thrown, as a ControllerError; one that is one already keeps its code. */
export const toControllerError = (thrown: unknown, code: ErrorCode): ControllerError => {
  try {
    if (thrown instanceof ControllerError) return thrown
    if (!(thrown instanceof Error)) return new ControllerError(code, String(thrown), { cause: thrown })
    return new ControllerError(code, thrown.message, { cause: thrown })
  } catch {
    return new ControllerError(code, 'What was thrown cannot be read.')
  }
}
