import { processEnvironment, type Variables } from './config/environment.ts'
import { resolveConfig } from './config/resolve.ts'
import type { Controller } from './controller.ts'
import type { ControllerDefinition } from './define.ts'
import { type ControllerLog, createLog } from './log.ts'

/** How a controller lives inside a program that has a life of its own. */
export interface StartOptions {
  /** Aborting it begins the drain; wait for `stopped` before the process ends. */
  readonly signal?: AbortSignal
  /** A pino logger, or what looks like one (default: what `LOG_LEVEL` and `KOKSMAT_LOG_FORMAT` say, to stdout). */
  readonly log?: ControllerLog
  /** Where the embedded PostgreSQL has its `.koksmat` and the code its package.json (default: the working folder). */
  readonly folder?: string
  /** Instead of `process.env`. */
  readonly environment?: Variables
}

/**
 * Starts a controller inside a program of your own, and resolves when it runs. It handles no signals and ends no process:
 * tell it by `signal`, `drain` and `abort`, and wait for `stopped`.
 * @throws ControllerError CONFIG_INVALID, PORT_IN_USE or EMBEDDED_POSTGRES_FAILED; nothing is left open then
 */
export const startController = async (
  definition: ControllerDefinition,
  { signal, log: given, folder = process.cwd(), environment = processEnvironment() }: StartOptions = {},
): Promise<Omit<Controller, 'start'>> => {
  const config = resolveConfig(definition, environment, { folder })
  const log = given ?? createLog(config.log)
  // Only here: whoever imports `defineController` alone waits for no driver.
  const { createController } = await import('./controller.ts')
  const controller = createController(config, { log, folder })
  const drain = (): void => controller.drain('asked for by the program')
  signal?.addEventListener('abort', drain, { once: true })
  void controller.stopped.then(() => signal?.removeEventListener('abort', drain))
  if (signal?.aborted === true) drain()
  await controller.start()
  return controller
}
