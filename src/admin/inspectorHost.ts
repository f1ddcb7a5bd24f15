import { HostError, type InspectorHost } from '../../inspector/host.ts'
import type { ControlCommand } from '../../inspector/protocol.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { Control } from '../control/control.ts'
import { quantilesOf } from '../durations.ts'
import type { Metrics } from '../metrics.ts'
import { readCommand } from './control.ts'
import type { AdminTarget } from './target.ts'

/** The controller as the inspector's page sees it: the same status, the same commands, the same log lines. */
export interface InspectorHostParts {
  readonly target: Pick<AdminTarget, 'status' | 'parked'> & { readonly control: Pick<Control, 'perform'> }
  readonly metrics: Pick<Metrics, 'durations'>
  /** Parked events by source. */
  counts(): Promise<Readonly<Record<string, number>>>
}

export const createInspectorHost = ({ target, metrics, counts }: InspectorHostParts): InspectorHost => {
  let seen = metrics.durations()

  return {
    commands,
    status: async () => {
      const now = metrics.durations()
      const latency = quantilesOf(now.map((count, cell) => count - (seen[cell] ?? 0)))
      seen = now
      return { ...(await target.status()), ...(latency === undefined ? {} : { latency }) }
    },
    control: (command, who) => translated(async () => target.control.perform(readCommand(command), who)),
    parked: (filter) =>
      translated(async () => {
        const [events, all] = await Promise.all([
          target.parked.list({ ...filter, limit: filter.limit ?? 100 }),
          counts(),
        ])
        return { events, counts: all }
      }),
    parkedEvent: (seq) =>
      translated(async () => {
        const found = await target.parked.show(seq)
        if (found === undefined) return undefined
        const { raw, ...event } = found
        return { ...event, ...(raw === undefined ? {} : { rawBytes: Buffer.byteLength(raw, 'base64') }) }
      }),
  }
}

const commands: readonly ControlCommand['name'][] = [
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
]

/** An error of ours in the inspector's words. */
const translated = async <Result>(run: () => Promise<Result>): Promise<Result> => {
  try {
    return await run()
  } catch (thrown) {
    if (!(thrown instanceof ControllerError)) throw thrown
    throw new HostError(hostCodeOf(thrown), thrown.message)
  }
}

const hostCodeOf = ({ code, fields }: ControllerError): HostError['code'] => {
  if (code === 'JOURNAL_UNAVAILABLE') return 'UNAVAILABLE'
  return fields['seq'] === undefined ? 'REFUSED' : 'NO_EVENT'
}
