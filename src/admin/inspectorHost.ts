import { HostError, type InspectorHost } from '../../inspector/host.ts'
import type { ControlCommand } from '../../inspector/protocol.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { Parked } from '../../machines/journal.ts'
import type { Control } from '../control/control.ts'
import type { Latency } from '../runtime/latency.ts'
import { readCommand } from './control.ts'
import type { AdminTarget } from './target.ts'

/** The controller as the inspector's page sees it: the same status, the same commands, the same log lines. */
export interface InspectorHostParts {
  readonly target: Pick<AdminTarget, 'status'> & { readonly control: Pick<Control, 'perform'> }
  readonly parked: Pick<Parked, 'list' | 'show' | 'counts'>
  readonly latency: Pick<Latency, 'take'>
}

export const createInspectorHost = ({ target, parked, latency }: InspectorHostParts): InspectorHost => {
  const { control } = target
  return {
    commands,
    status: async () => {
      const known = await target.status()
      const taken = latency.take()
      return taken === undefined ? known : { ...known, latency: taken }
    },
    control: (command, who) => translated(async () => control.perform(readCommand(command), who)),
    send: async (actorId, { type, source }, who) => {
      const name = actorId === 'controller' ? byHand.get(type) : undefined
      if (name === undefined || typeof source !== 'string') {
        throw new HostError('REFUSED', `By hand: ${[...byHand.keys()].join(', ')}, with a source, to the controller.`)
      }
      await translated(() => control.perform({ name, source }, who))
    },
    parked: (filter) =>
      translated(async () => {
        const limited = { ...filter, limit: filter.limit ?? defaultLimit }
        const [events, counts] = await Promise.all([parked.list(limited), parked.counts()])
        return { events, counts }
      }),
    parkedEvent: (seq) =>
      translated(async () => {
        const found = await parked.show(seq)
        if (found === undefined) return undefined
        const { raw, ...shown } = found
        return raw === undefined ? shown : { ...shown, rawBytes: Buffer.byteLength(raw, 'base64') }
      }),
  }
}

const defaultLimit = 100

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

/** Events of the controller that may be made by hand, and the commands they are. */
const byHand: ReadonlyMap<string, 'pause' | 'resume'> = new Map([
  ['controller.pause', 'pause'],
  ['controller.resume', 'resume'],
])

/** An error of ours in the inspector's words. */
const translated = async <Result>(run: () => Promise<Result>): Promise<Result> => {
  try {
    return await run()
  } catch (thrown) {
    if (!(thrown instanceof ControllerError)) throw thrown
    const code = thrown.fields['seq'] === undefined ? codes.get(thrown.code) : 'NO_EVENT'
    throw code === undefined ? thrown : new HostError(code, thrown.message)
  }
}

const codes: ReadonlyMap<string, HostError['code']> = new Map([
  ['JOURNAL_UNAVAILABLE', 'UNAVAILABLE'],
  ['COMMAND_INVALID', 'REFUSED'],
  ['COMMAND_REFUSED', 'REFUSED'],
])
