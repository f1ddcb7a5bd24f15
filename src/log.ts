import { type DestinationStream, destination, type Level, type Logger, pino, stdTimeFunctions } from 'pino'
import pinoPretty from 'pino-pretty'
import type { Log } from '../machines/driver.ts'
import { cleanBranch, cleanText } from './logFields.ts'

/**
 * The log: pino, as JSON lines or, on a terminal, readable.
 *
 * Lines are written synchronously, so that the last one is out before the process ends, however it ends. The price is
 * that a reader of stdout that stands still holds up the process once the pipe is full, as it would with `console.log`.
 * What a line says may come from outside: see `logFields.ts` for what is taken out of it.
 */
export interface ControllerLog extends Log {
  fatal(fields: object, message: string): void
  /** A log whose lines carry these fields too, e.g. `{ actor: 'source:orders' }`. */
  child(fields: Readonly<Record<string, unknown>>): ControllerLog
  /** Returns when every line so far has been handed to the operating system. */
  flush(): void
  /** From now on, for this log and all its children; returns the level before. Absent: the level is not ours to set. */
  setLevel?(level: string): string
  /** A child that keeps the level of now, whatever is set later: what it says nobody can turn off. */
  pinned?(fields: { readonly actor: string }): ControllerLog
}

export interface LogOptions {
  /** A level of pino, or `silent`. */
  readonly level: string
  readonly format: 'json' | 'pretty'
  /** A file descriptor, or whatever takes lines (default: stdout). */
  readonly to?: number | DestinationStream
  /** Default: what the terminal and `NO_COLOR` say. */
  readonly colors?: boolean
}

export const createLog = ({ level, format, to = 1, colors }: LogOptions): ControllerLog => {
  const file = typeof to === 'number' ? destination({ dest: to, sync: true }) : undefined
  const lines = file ?? (to as DestinationStream)
  const logger = pino(
    {
      level: 'trace',
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (cleaned: unknown) => cleaned },
    },
    format === 'json' ? lines : readable(lines, colors),
  )
  return logOf(logger, { level }, () => file?.flushSync())
}

/** Shared by a log and its children, which in pino keep the level they were made with. */
interface Threshold {
  level: string
}

const logOf = (logger: Logger, threshold: Threshold, flush: () => void): ControllerLog => {
  const at =
    (level: Level) =>
    (fields: object, message: string): void => {
      if (isLogged(level, threshold.level)) logger[level](cleanBranch(fields), cleanText(message))
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    child: (fields) => logOf(logger.child(cleanBranch(fields)), threshold, flush),
    flush,
    pinned: (fields) => logOf(logger.child(cleanBranch(fields)), { ...threshold }, flush),
    setLevel: (level) => {
      const before = threshold.level
      threshold.level = level
      return before
    },
  }
}

const isLogged = (level: Level, threshold: string): boolean =>
  (pino.levels.values[level] as number) >= (pino.levels.values[threshold] ?? Number.POSITIVE_INFINITY)

/** Formatting is a function of the line: no stream and no worker thread between a line and the terminal. */
const readable = (lines: DestinationStream, colors: boolean | undefined): DestinationStream => {
  const format = pinoPretty.prettyFactory({
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'actor',
    messageFormat: '{if actor}[{actor}] {end}{msg}',
    singleLine: true,
    ...(colors === undefined ? {} : { colorize: colors }),
  })
  return { write: (line) => lines.write(format(line)) }
}
