import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Recorder } from '../../inspector/recorder.ts'
import type { ControllerLog } from '../log.ts'

/**
 * Where dumps of the flight recorder go: files that only this user may read, the newest twenty, in a folder of the user's
 * own among the machine's temporary ones. One that cannot be written is a line in the log and nothing else.
 */
export interface Flights {
  /** An event was parked: one dump for all of the next ten seconds, once what led to it has been recorded. */
  parked(source: string): void
  /** Written before it returns: the process is about to end. */
  crashed(thrown: unknown): void
  close(): void
}

const kept = 20
const apartMs = 10_000
const settleMs = 200

export const createFlights = (
  recorder: Recorder,
  log: ControllerLog,
  folder = join(tmpdir(), `koksmat-flight-${process.getuid?.() ?? 0}`),
): Flights => {
  let last = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined

  const write = (reason: 'parked' | 'crash', about: unknown): void => {
    try {
      const flight = recorder.dump(reason, about)
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const file = join(folder, `${flight.at.replaceAll(/[:.]/g, '-')}-${process.pid}-${reason}.json`)
      writeFileSync(file, JSON.stringify(flight), { mode: 0o600 })
      for (const old of readdirSync(folder).sort().slice(0, -kept)) rmSync(join(folder, old), { force: true })
      log.info({ file, reason }, 'flight recorded')
    } catch (thrown) {
      log.warn({ err: thrown, reason }, 'flight not recorded')
    }
  }

  return {
    parked: (source) => {
      const now = performance.now()
      if (now - last < apartMs) return
      last = now
      timer = setTimeout(() => write('parked', { source }), settleMs).unref()
    },
    crashed: (thrown) => write('crash', thrown),
    close: () => clearTimeout(timer),
  }
}
