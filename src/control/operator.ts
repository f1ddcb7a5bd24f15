import { type EventObject, fromCallback } from 'xstate'
import { ControllerError, toControllerError } from '../../machines/errors.ts'
import type { Parked } from '../../machines/journal.ts'
import type { Asked, CommandResult, OperatorFact, OperatorTask } from '../../machines/protocol.ts'
import type { ControllerLog } from '../log.ts'
import type { Command, Facts } from './command.ts'

/**
 * The operator child of the controller: does what a command needs IO for, when the root says so. The root's events name
 * a command by its number only; what it carries, a payload or a secret, waits here.
 */
export interface OperatorParts {
  readonly parked: Parked
  readonly log: ControllerLog
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

const perform = async ({ parked, log }: OperatorParts, command: Command): Promise<Facts> => {
  switch (command.name) {
    case 'redrive':
      return { count: await parked.redrive(command.filter) }
    case 'drop':
      return { count: await parked.drop(command.filter) }
    case 'logLevel':
      return setLevel(log, command.level)
    default:
      throw new ControllerError('COMMAND_INVALID', `The command ${command.name} is not the operator's.`)
  }
}

const setLevel = (log: ControllerLog, level: string): Facts => {
  if (log.setLevel !== undefined) return { level, before: log.setLevel(level) }
  throw new ControllerError('COMMAND_REFUSED', 'The log is one of the program around, which sets its level.')
}
