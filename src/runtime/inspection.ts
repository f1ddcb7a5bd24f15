import { createInspector, type Inspector } from '../../inspector/index.ts'
import { createInspectorHost } from '../admin/inspectorHost.ts'
import type { AdminTarget } from '../admin/target.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import type { ControllerLog } from '../log.ts'
import type { Assembly } from './assembly.ts'

/** The inspector of a running controller: looks into its root, and commands it through what the admin port has too. */
interface Parts {
  readonly assembly: Assembly
  readonly running: AdminTarget
  readonly log: ControllerLog
}

export const createInspection = (config: ResolvedConfig, { assembly, running, log }: Parts): Inspector | undefined => {
  const { host, tokens } = config.admin
  if (!config.inspector.on) return undefined
  const inspect = createInspector({
    host,
    ...(tokens.operate === undefined ? {} : { token: tokens.operate }),
    ...(tokens.read === undefined ? {} : { readToken: tokens.read }),
    redact: assembly.redaction,
    flight: () => assembly.recorder.dump('asked'),
    isFailure: tellsOfFailure,
    service: createInspectorHost({ target: running, parked: assembly.journal.parked, latency: assembly.latency }),
    log,
  })
  const inspector = inspect(assembly.root)
  assembly.watchedWhile(() => inspector.observers() > 0)
  return inspector
}

const tellsOfFailure = (event: { readonly type: string; readonly batches?: unknown }): boolean =>
  event.type === 'jobs.settled' &&
  Array.isArray(event.batches) &&
  event.batches.some(
    ({ results }: { results?: { parked?: number; retried?: number } }) =>
      (results?.parked ?? 0) + (results?.retried ?? 0) > 0,
  )
