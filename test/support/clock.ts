import { existsSync, readFileSync } from 'node:fs'

/**
 * Preloaded into a process (`--import`): its clock is off by as many milliseconds as stand in the file that `TEST_CLOCK`
 * names, from one moment to the next. Timers and `performance.now()`, which are monotonic, go on as they are.
 */
const file = process.env['TEST_CLOCK'] ?? ''
const RealDate = Date
let offsetMs = 0

class JumpingDate extends RealDate {
  constructor(...given: [] | [number | string | Date]) {
    super(given[0] ?? JumpingDate.now())
  }

  static override now(): number {
    return RealDate.now() + offsetMs
  }
}

Object.defineProperty(globalThis, 'Date', { value: JumpingDate, writable: true, configurable: true })
setInterval(() => {
  if (existsSync(file)) offsetMs = Number(readFileSync(file, 'utf8')) || 0
}, 50).unref()
