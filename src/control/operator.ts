import { type EventObject, fromCallback } from 'xstate'
import { ControllerError, toControllerError } from '../../machines/errors.ts'
import type { Parked } from '../../machines/journal.ts'
import type { Asked, CommandResult, OperatorFact, OperatorTask } from '../../machines/protocol.ts'
import type { LiveSecrets } from '../config/liveSecrets.ts'
import type { Waiters } from '../jobs/jobs.ts'
import type { ControllerLog } from '../log.ts'
import type { Command, Facts } from './command.ts'

/**
 * The operator child of the controller: does what a command needs IO for, when the root says so. The root's events name
 * a command by its number only; what it carries, a payload or a secret, waits here.
 */
export interface OperatorParts {
  readonly parked: Parked
  readonly log: ControllerLog
  /** Of webhook sources. */
  readonly secrets: ReadonlyMap<string, LiveSecrets>
  readonly locks: readonly string[]
  /** Gives back what waits for a lock in this process; returns how many. */
  releaseWaiters(waiters: Waiters): number
}

export const createOperator = (parts: OperatorParts) => {
  const commands = new Map<string, Command>()

  const resultOf = async ({ id }: Asked): Promise<CommandResult> => {
    const command = commands.get(id)
    try {
      if (command === undefined) throw new ControllerError('COMMAND_INVALID', 'Nobody knows this command any more.')
      return { status: 'done', facts: await perform(parts, command) }
    } catch (thrown) {
      if (!(thrown instanceof ControllerError))
        parts.log.error({ err: thrown, command: command?.name }, 'command failed')
      return { status: 'refused', error: toControllerError(thrown, 'COMMAND_REFUSED') }
    }
  }

  return {
    logic: fromCallback<OperatorTask & EventObject>(({ sendBack, receive }) => {
      const answer = async (asked: Asked): Promise<void> => {
        const performed: OperatorFact = { type: 'operator.performed', asked, result: await resultOf(asked) }
        sendBack(performed)
      }
      receive(({ asked }) => void answer(asked))
    }),
    keep: (id: string, command: Command): void => void commands.set(id, command),
    forget: (id: string): void => void commands.delete(id),
  }
}

export type Operator = ReturnType<typeof createOperator>

const perform = async (parts: OperatorParts, command: Command): Promise<Facts> => {
  switch (command.name) {
    case 'redrive':
      return { count: await parts.parked.redrive(command.filter) }
    case 'drop':
      return { count: await parts.parked.drop(command.filter) }
    case 'editAndRedrive':
      return edit(parts.parked, command.seq, command.data)
    case 'releaseWaiter':
      return releaseWaiters(parts, command)
    case 'logLevel':
      return setLevel(parts.log, command.level)
    case 'rotateSecret':
      return rotate(parts.secrets.get(command.source), command)
    case 'pause':
    case 'resume':
    case 'credit':
    case 'drain':
      throw new ControllerError('COMMAND_INVALID', `The command ${command.name} is not one for the operator.`)
  }
}

const edit = async (parked: Parked, seq: string, data: unknown): Promise<Facts> => {
  if (await parked.edit(seq, JSON.stringify(data))) return { count: 1 }
  throw new ControllerError('COMMAND_INVALID', `There is no parked event ${seq} any more.`, { fields: { seq } })
}

const releaseWaiters = ({ locks, releaseWaiters: release }: OperatorParts, waiters: Waiters): Facts => {
  if (locks.includes(waiters.lock)) return { count: release(waiters) }
  throw new ControllerError('COMMAND_INVALID', `There is no lock ${waiters.lock}; there are ${locks.join(', ')}.`)
}

const rotate = (secrets: LiveSecrets | undefined, { source, add, retire }: Rotation): Facts => {
  if (secrets === undefined) {
    throw new ControllerError('COMMAND_INVALID', `The source ${source} has no secret: it is no webhook, or unsigned.`)
  }
  if (add !== undefined && retire !== undefined) {
    throw new ControllerError('COMMAND_INVALID', 'A secret is added or retired; not both at once.')
  }
  if (add !== undefined) secrets.add(add)
  else if (retire !== undefined) secrets.retire(retire)
  else secrets.readAgain()
  return { source, live: secrets.list() }
}

type Rotation = Extract<Command, { name: 'rotateSecret' }>

const setLevel = (log: ControllerLog, level: string): Facts => {
  if (log.setLevel !== undefined) return { level, before: log.setLevel(level) }
  throw new ControllerError('COMMAND_REFUSED', 'The log is one of the program around, which sets its level.')
}
