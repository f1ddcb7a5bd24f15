import type { ControllerLog } from './log.ts'

/**
 * What a process is told from outside, and the errors that nobody caught. The only place with `process.on`.
 *
 * | signal (SIGTERM or SIGINT) | effect |
 * |---|---|
 * | the first | drain |
 * | another within 5 s of it | none: Ctrl-C reaches a process both from the terminal and from npm |
 * | a later one | abort |
 * | one after that | exit at once with code 3 |
 *
 * An uncaught exception or rejection leaves nothing to rely on: a fatal line, and exit code 1. What was not settled comes
 * again.
 */
export interface Signalled {
  drain(reason: string): void
  abort(reason: string): void
  /** Called before the process ends by an error that nobody caught. */
  crashed?(thrown: unknown): void
}

export interface Signals {
  /** Resolves with the exit code when the process has to end without further ado; otherwise never. */
  readonly forced: Promise<number>
  stop(): void
}

const repeatedWithinMs = 5_000
const names = ['SIGTERM', 'SIGINT'] as const

export const listenForSignals = (
  controller: Signalled,
  log: ControllerLog,
  now: () => number = () => performance.now(),
): Signals => {
  const { promise: forced, resolve: force } = Promise.withResolvers<number>()
  let firstAt: number | undefined
  let aborted = false

  const onSignal = (signal: NodeJS.Signals): void => {
    if (firstAt === undefined) {
      firstAt = now()
      controller.drain(signal)
    } else if (aborted) {
      log.fatal({ signal }, 'exiting at once')
      force(3)
    } else if (now() - firstAt >= repeatedWithinMs) {
      aborted = true
      controller.abort(signal)
    }
  }
  const onFatal = (thrown: unknown): void => {
    log.fatal(thrown instanceof Error ? thrown : { error: String(thrown) }, 'uncaught error')
    controller.crashed?.(thrown)
    log.flush()
    force(1)
  }

  for (const name of names) process.on(name, onSignal)
  process.on('uncaughtException', onFatal)
  process.on('unhandledRejection', onFatal)
  return {
    forced,
    stop: () => {
      for (const name of names) process.off(name, onSignal)
      process.off('uncaughtException', onFatal)
      process.off('unhandledRejection', onFatal)
    },
  }
}

/**
 * For a program that holds the terminal and has nothing to drain: `told` resolves at any signal that asks it to end, and
 * `atExit` runs however the process ends, so far as it can run anything.
 */
export const listenForEnd = (atExit: () => void): { readonly told: Promise<void>; stop(): void } => {
  const { promise: told, resolve } = Promise.withResolvers<void>()
  const onSignal = (): void => resolve()
  for (const name of enders) process.on(name, onSignal)
  process.on('exit', atExit)
  return {
    told,
    stop: () => {
      for (const name of enders) process.off(name, onSignal)
      process.off('exit', atExit)
    },
  }
}

const enders = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const
