import type { Log } from '../../machines/driver.ts'
import type { HandlerLog, LogLine } from '../define.ts'

/** The log as handlers get it: a line that is not as it should be must not cost an event an attempt. */
export const handlerLogOf = (log: Log): HandlerLog => ({
  debug: line(log, 'debug'),
  info: line(log, 'info'),
  warn: line(log, 'warn'),
  error: line(log, 'error'),
})

const line =
  (log: Log, level: keyof HandlerLog): LogLine =>
  (first: unknown, second?: unknown): void => {
    const [fields, message] = typeof first === 'string' ? [second, first] : [first, second]
    const known = typeof fields === 'object' && fields !== null ? fields : {}
    log[level](known, typeof message === 'string' ? message : known instanceof Error ? known.message : '')
  }
