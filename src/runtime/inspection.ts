import { HostError, type InspectorHost, type ParkedEvent } from '../../inspector/host.ts'
import { createInspector, type Inspector } from '../../inspector/index.ts'
import type { HostStatus, JobView } from '../../inspector/protocol/controller.ts'
import type { ParkedFilter } from '../../inspector/protocol/parked.ts'
import type { ControlCommand } from '../../inspector/protocol.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { AdminTarget } from '../admin/target.ts'
import { withoutCredentials } from '../config/redact.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import { type Command, logLevels } from '../control/command.ts'
import type { Task } from '../jobs/task.ts'
import type { ControllerLog } from '../log.ts'
import type { Assembly } from './assembly.ts'
import { createSecretPaths } from './secretPaths.ts'

/** The inspector of a running controller: looks into its root, and commands it through what the admin port has too. */
interface Parts {
  readonly assembly: Assembly
  readonly running: AdminTarget
  readonly log: ControllerLog
}

export const createInspection = (config: ResolvedConfig, { assembly, running, log }: Parts): Inspector | undefined => {
  const { host, tokens } = config.admin
  if (!config.inspector.on) return undefined
  if (tokens.operate === undefined && tokens.read === undefined)
    log.info({}, 'inspector open on loopback without a token')
  const inspector = createInspector({
    host,
    ...(tokens.operate === undefined ? {} : { token: tokens.operate }),
    ...(tokens.read === undefined ? {} : { readToken: tokens.read }),
    redact: { secretPathsOf: createSecretPaths(config.handlers), scrub: withoutCredentials },
    isFailure: tellsOfFailure,
    service: hostOf(assembly, running),
    log,
  })
  return inspector(assembly.root)
}

const tellsOfFailure = (event: { readonly type: string; readonly batches?: unknown }): boolean =>
  event.type === 'jobs.settled' &&
  Array.isArray(event.batches) &&
  event.batches.some(({ results }: { results?: { parked?: number; retried?: number } }) =>
    Boolean(results?.parked ?? results?.retried),
  )

const hostOf = (
  { root, journal, jobs, latency }: Assembly,
  { status: statusOf, control }: AdminTarget,
): InspectorHost => {
  const { parked } = journal

  const status = async (): Promise<HostStatus> => {
    const known = await statusOf()
    const { context } = root.getSnapshot()
    const taken = latency.take()
    return {
      ...known,
      sources: Object.fromEntries(
        Object.entries(known.sources).map(([name, source]) => [
          name,
          { ...source, results: context.sources[name]?.results ?? {} },
        ]),
      ),
      jobs: { ...known.jobs, list: jobLines(jobs.unsettled()) },
      ...(taken === undefined ? {} : { latency: taken }),
    }
  }

  return {
    status,
    commands: [
      'pause',
      'resume',
      'credit',
      'drain',
      'redrive',
      'drop',
      'editAndRedrive',
      'releaseWaiter',
      'logLevel',
      'rotateSecret',
    ],
    control: (command, who) => told(() => control.perform(commandOf(command), who)),
    send: async (actorId, { type, source }, who) => {
      const name = actorId === 'controller' && byHand.get(type)
      if (!name || typeof source !== 'string') {
        throw new HostError('REFUSED', `By hand: ${[...byHand.keys()].join(', ')}, with a source, to the controller.`)
      }
      await told(() => control.perform({ name, source }, who))
    },
    parked: (filter) =>
      told(async () => ({ events: await parked.list(filterOf(filter)), counts: await parked.counts() })),
    parkedEvent: (seq) =>
      told(async (): Promise<ParkedEvent | undefined> => {
        const found = await parked.show(seq)
        if (found === undefined) return undefined
        const { raw, ...shown } = found
        return raw === undefined ? shown : { ...shown, rawBytes: Buffer.byteLength(raw, 'base64') }
      }),
  }
}

const told = async <Result>(run: () => Promise<Result>): Promise<Result> => {
  try {
    return await run()
  } catch (thrown) {
    if (!(thrown instanceof ControllerError)) throw thrown
    const code = codes.get(thrown.code)
    throw code === undefined ? thrown : new HostError(code, thrown.message)
  }
}

const codes: ReadonlyMap<string, HostError['code']> = new Map([
  ['JOURNAL_UNAVAILABLE', 'UNAVAILABLE'],
  ['COMMAND_INVALID', 'REFUSED'],
  ['COMMAND_REFUSED', 'REFUSED'],
])

/** Events of the controller that may be made by hand, and the commands they are. */
const byHand: ReadonlyMap<string, 'pause' | 'resume'> = new Map([
  ['controller.pause', 'pause'],
  ['controller.resume', 'resume'],
])

const most = 1_000
const filterOf = (filter: ParkedFilter) => ({ ...filter, limit: filter.limit ?? most })

const commandOf = (command: ControlCommand): Command => {
  switch (command.name) {
    case 'redrive':
    case 'drop':
      return { ...command, filter: filterOf(command.filter) }
    case 'logLevel': {
      const level = logLevels.find((each) => each === command.level)
      if (level === undefined) throw new HostError('REFUSED', `A level is one of ${logLevels.join(', ')}.`)
      return { name: 'logLevel', level }
    }
    default:
      return command
  }
}

const mostJobs = 100

const jobLines = (unsettled: readonly Task[]): readonly JobView[] => {
  const now = performance.now()
  return [...unsettled]
    .sort((a, b) => a.admittedAt - b.admittedAt)
    .slice(0, mostJobs)
    .map(({ source, event, startedAt, admittedAt, lane, lock, long, progress }) => ({
      source,
      id: event.id,
      type: event.type,
      state: startedAt === undefined ? 'waiting' : 'running',
      ageMs: Math.round(now - admittedAt),
      ...(startedAt === undefined ? {} : { runningMs: Math.round(now - startedAt) }),
      ...(lane === undefined ? {} : { lane }),
      ...(lock === undefined ? {} : { lock }),
      ...(long ? { long } : {}),
      ...(progress === undefined ? {} : { progress }),
    }))
}
