import { stripVTControlCharacters, styleText } from 'node:util'
import { ControllerError } from '../../machines/errors.ts'

/**
 * The only writer to stdout and stderr, but for the log.
 *
 * Results go to stdout. With `--json` that is exactly one JSON value, an error being `{ "error": { code, message … } }`;
 * otherwise text for people, and errors go to stderr, red on a terminal that wants colours (`NO_COLOR`, `FORCE_COLOR`). What
 * comes from outside loses its terminal escapes.
 */
export interface Output {
  readonly json: boolean
  result(value: unknown, text: string): void
  error(error: ControllerError): void
  /** As it is, e.g. help. */
  raw(text: string, to?: 'stdout' | 'stderr'): void
  /** Resolves when everything is out; where a pipe is asynchronous, an exit would cut it off. */
  flush(): Promise<void>
}

export const createOutput = (json: boolean): Output => {
  // A reader that has seen enough, such as `head`, ends nothing but its pipe.
  for (const stream of [process.stdout, process.stderr]) {
    stream.off('error', failUnlessReaderIsGone).on('error', failUnlessReaderIsGone)
  }
  const raw: Output['raw'] = (text, to = 'stdout') => {
    const stream = to === 'stdout' ? process.stdout : process.stderr
    stream.write(text)
  }
  const line = (text: string, to?: 'stdout' | 'stderr'): void => raw(`${printable(text).replace(/\n+$/, '')}\n`, to)
  return {
    json,
    raw,
    result: (value, text) => (json ? raw(`${JSON.stringify(value, undefined, 2)}\n`) : line(text)),
    error: ({ code, message, fields }) =>
      json
        ? raw(`${JSON.stringify({ error: { code, message, ...fields } }, undefined, 2)}\n`)
        : raw(`${inRed(printable(message).trimEnd())}\n(${code})\n`, 'stderr'),
    flush: async () => {
      await new Promise<void>((resolve) => process.stdout.write('', () => resolve()))
      await new Promise<void>((resolve) => process.stderr.write('', () => resolve()))
    },
  }
}

const failUnlessReaderIsGone = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'EPIPE') throw error
}

const inRed = (text: string): string => styleText('red', text, { stream: process.stderr })

/** Rows of text in columns, each as wide as its widest cell. */
export const table = (head: readonly string[], rows: readonly (readonly unknown[])[]): string => {
  const lines = [head, ...rows].map((row) => row.map((cell) => onOneLine(String(cell ?? ''))))
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What a script can rely on; documented in docs/cli.md and in `--help`. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, aborted: 3, notRunning: 4 } as const

export const exitCodeOf = (error: ControllerError): number => {
  if (error.code === 'NOT_RUNNING') return exitCodes.notRunning
  return ['USAGE', 'CONFIG_INVALID', 'CONFIG_NOT_FOUND', 'COMMAND_INVALID'].includes(error.code)
    ? exitCodes.usage
    : exitCodes.failure
}

/** What `--help` ends with. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ koksmat-controller ${line}`).join('\n')}`

export const usage = (message: string): ControllerError => new ControllerError('USAGE', message)

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g
const printable = (text: string): string => stripVTControlCharacters(text).replace(controls, '')

/** Without line breaks and terminal escapes. */
export const onOneLine = (text: string): string => printable(text).replaceAll('\n', ' ')
