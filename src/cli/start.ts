import { toControllerError } from '../../machines/errors.ts'
import { processEnvironment } from '../config/environment.ts'
import { loadDefinition } from '../config/load.ts'
import { resolveConfig } from '../config/resolve.ts'
import { createController } from '../controller.ts'
import { createLog } from '../log.ts'
import { listenForSignals } from '../signals.ts'
import { exitCodeOf } from './output.ts'

/**
 * Runs a controller until it is told to end. Resolves with the exit code; the last line of the log is the drain report.
 * @throws ControllerError CONFIG_NOT_FOUND, CONFIG_INVALID: before anything connects
 */
export const start = async (path: string | undefined): Promise<number> => {
  const { definition, folder } = await loadDefinition(path)
  const config = resolveConfig(definition, processEnvironment(), { folder })
  const log = createLog(config.log)
  const controller = createController(config, { log, folder: process.cwd() })
  const signals = listenForSignals(controller, log)

  const ended = controller.stopped.then(({ exitCode }) => exitCode)
  const failed = new Promise<number>((resolve) => {
    controller.start().catch((thrown: unknown) => {
      const error = toControllerError(thrown, 'SOURCE_CONNECT_FAILED')
      const why = error.cause === undefined ? {} : { err: error.cause }
      log.fatal({ code: error.code, reason: error.message, ...why }, 'start failed')
      resolve(exitCodeOf(error))
    })
  })
  const exitCode = await Promise.race([ended, failed, signals.forced])
  signals.stop()
  log.flush()
  return exitCode
}
