import { randomUUID } from 'node:crypto'
import { ControllerError } from '../../machines/errors.ts'
import type { CommandAnswered, CommandResult, ControllerCommand } from '../../machines/protocol.ts'
import type { ControllerLog } from '../log.ts'
import type { Command, Facts, Who } from './command.ts'
import type { Operator } from './operator.ts'

/**
 * The control plane: an operator's command becomes a typed event of the root, its answer a result, and both together one
 * line of the log: who, what, and what came of it.
 */
export interface Control {
  /** @throws ControllerError COMMAND_INVALID, COMMAND_REFUSED, JOURNAL_UNAVAILABLE; nothing was changed then */
  perform(command: Command, who: Who): Promise<Facts>
  /** Writes the line of a command that got no further than the door. */
  audit(command: string, who: Who, outcome: 'done' | 'refused', facts: Facts): void
  /** The root has stopped: who still waits is told. */
  end(): void
}

export interface ControlParts {
  readonly operator: Operator
  readonly log: ControllerLog
  send(event: ControllerCommand): void
  /** What goes with a drain beside its event. */
  onDrain(reason: string): void
  onAnswered(listener: (answered: CommandAnswered) => void): void
}

export const createControl = ({ operator, log, send, onDrain, onAnswered }: ControlParts): Control => {
  const waiting = new Map<string, (result: CommandResult) => void>()
  let ended = false

  onAnswered(({ asked, result }) => waiting.get(asked.id)?.(result))

  const audit: Control['audit'] = (command, who, outcome, facts) => {
    const line = { command, ...who, result: outcome, ...facts }
    if (outcome === 'done') log.info(line, 'operator command')
    else log.warn(line, 'operator command')
  }

  const answerOf = async (command: Command, who: Who): Promise<CommandResult> => {
    if (ended) return stopped
    const id = randomUUID()
    const answer = Promise.withResolvers<CommandResult>()
    waiting.set(id, answer.resolve)
    operator.keep(id, command)
    try {
      if (command.name === 'drain') onDrain(drainReason(who))
      send(eventOf(command, id, who))
      return await answer.promise
    } finally {
      operator.forget(id)
      waiting.delete(id)
    }
  }

  return {
    perform: async (command, who) => {
      const result = await answerOf(command, who)
      const done = result.status === 'done'
      const outcome = done ? result.facts : { code: result.error.code, reason: result.error.message }
      audit(command.name, who, result.status, { ...whatOf(command), ...outcome })
      if (done) return result.facts
      throw result.error
    },
    audit,
    end: () => {
      ended = true
      for (const resolve of waiting.values()) resolve(stopped)
    },
  }
}

const stopped: CommandResult = {
  status: 'refused',
  error: new ControllerError('COMMAND_REFUSED', 'The controller has stopped.'),
}

const drainReason = ({ by }: Who): string => (by === 'admin' ? 'asked for on the admin port' : 'asked for on its page')

/** What the command is about, without what it carries. */
const whatOf = (command: Command): Facts => {
  switch (command.name) {
    case 'drain':
    case 'logLevel':
      return {}
    case 'redrive':
    case 'drop':
      return { filter: command.filter }
    case 'editAndRedrive':
      return { seq: command.seq }
    case 'releaseWaiter': {
      const { lock, source, event } = command
      return { lock, source, event }
    }
    case 'rotateSecret': {
      const { source, add, retire } = command
      return { source, how: add === undefined ? (retire === undefined ? 'read again' : 'retired') : 'added' }
    }
    case 'pause':
    case 'resume':
    case 'credit':
      return { source: command.source }
  }
}

const eventOf = (command: Command, id: string, who: Who): ControllerCommand => {
  const asked = { id, by: `${who.by} ${who.address}` }
  switch (command.name) {
    case 'pause':
      return { type: 'controller.pause', source: command.source, asked }
    case 'resume':
      return { type: 'controller.resume', source: command.source, asked }
    case 'credit': {
      const { source, events, bytes } = command
      const credit = { ...(events === undefined ? {} : { events }), ...(bytes === undefined ? {} : { bytes }) }
      return { type: 'controller.setCredit', source, credit, asked }
    }
    case 'drain':
      return { type: 'controller.drain', reason: drainReason(who), asked }
    case 'redrive':
      return { type: 'controller.redrive', asked }
    case 'drop':
      return { type: 'controller.drop', asked }
    case 'editAndRedrive':
      return { type: 'controller.edit', asked }
    case 'releaseWaiter':
      return { type: 'controller.releaseWaiter', lock: command.lock, asked }
    case 'logLevel':
      return { type: 'controller.setLogLevel', asked }
    case 'rotateSecret':
      return { type: 'controller.rotateSecret', source: command.source, asked }
  }
}
