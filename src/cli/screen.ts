import { listenForEnd } from '../signals.ts'
import { type Output, onOneLine } from './output.ts'

/**
 * The whole terminal for as long as a live view runs: its second screen, without cursor, keys as they are pressed. However
 * the process ends, by a key, a signal or an error, the terminal is as it was before.
 */
export interface Screen {
  /** Replaces what is shown; what does not fit is cut off. */
  paint(lines: readonly Line[]): void
  /** Resolves when the view is to end: `q`, Ctrl-C, or a signal. */
  readonly ended: Promise<void>
  close(): void
}

/** A line, and how it is to be set off. */
export interface Line {
  readonly text: string
  readonly style?: (text: string) => string
}

const enter = '\u001b[?1049h\u001b[?25l'
const leave = '\u001b[?25h\u001b[?1049l'
const top = '\u001b[H'
const restOfLine = '\u001b[K'
const restOfScreen = '\u001b[J'
const ctrlC = '\u0003'

export const openScreen = (output: Output): Screen => {
  const quit = Promise.withResolvers<void>()
  const onKeys = (keys: string): void => {
    if (keys.includes(ctrlC) || /q/i.test(keys)) quit.resolve()
  }
  const onHangUp = (): void => quit.resolve()
  let open = true
  const close = (): void => {
    if (!open) return
    open = false
    if (process.stdin.isTTY) process.stdin.setRawMode(false)
    process.stdin.off('data', onKeys).pause()
    output.raw(leave)
    for (const stream of [process.stdin, process.stdout]) stream.off('error', onHangUp)
    end.stop()
  }
  const end = listenForEnd(close)
  // A terminal that tells no size has the size that terminals always had.
  const width = (): number => process.stdout.columns || 80
  const height = (): number => process.stdout.rows || 24

  for (const stream of [process.stdin, process.stdout]) stream.on('error', onHangUp)
  output.raw(enter)
  if (process.stdin.isTTY) process.stdin.setRawMode(true)
  process.stdin.setEncoding('utf8').on('data', onKeys).resume()
  return {
    paint: (lines) => {
      const shown = lines
        .slice(0, height() - 1)
        .map(({ text, style = asIs }) => style(onOneLine(text).slice(0, width())) + restOfLine)
      output.raw(`${top}${shown.join('\r\n')}\r\n${restOfScreen}`)
    },
    ended: Promise.race([quit.promise, end.told]),
    close,
  }
}

const asIs = (text: string): string => text
