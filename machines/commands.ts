import { ControllerError } from './errors.ts'
import type { KnownSources } from './facts.ts'
import type { CommandResult, ControllerCommand, OperatorCommand, SourceCommand } from './protocol.ts'

/**
 * What becomes of an operator's command: answered at once, told to a source, or handed to the operator child, whose
 * answer is then the answer. Pure; the controller asks it in every state.
 *
 * | command | while open | while draining | while closing |
 * |---|---|---|---|
 * | pause, resume, setCredit | the source, where there is one | refused | refused |
 * | redrive, drop, edit | done, if the journal is up | done | refused |
 * | releaseWaiter, setLogLevel, rotateSecret | done | done | refused |
 * | drain | begins | begins nothing new | begins nothing new |
 */
export type Phase = 'open' | 'draining' | 'closing'

export type Decision =
  | { readonly to: 'nobody'; readonly result: CommandResult }
  | { readonly to: 'source'; readonly source: string; readonly command: SourceCommand; readonly result: CommandResult }
  | { readonly to: 'operator' }

interface Known extends KnownSources {
  readonly journal: string
}

export const decide = (known: Known, phase: Phase, command: OperatorCommand | DrainAsked): Decision => {
  if (command.type === 'controller.drain') return { to: 'nobody', result: done({ state: 'draining' }) }
  if (phase === 'closing') return refused('The controller is closing.')
  if ('source' in command && known.sources[command.source] === undefined) return missing(command.source, known)
  switch (command.type) {
    case 'controller.pause':
    case 'controller.resume':
    case 'controller.setCredit':
      return phase === 'open' ? forSource(known, command) : refused('The controller is draining.')
    case 'controller.redrive':
    case 'controller.drop':
    case 'controller.edit':
      return known.journal === 'up' ? { to: 'operator' } : away
    case 'controller.releaseWaiter':
    case 'controller.setLogLevel':
    case 'controller.rotateSecret':
      return { to: 'operator' }
  }
}

export type DrainAsked = Extract<ControllerCommand, { type: 'controller.drain' }>

type SourceBound = Extract<OperatorCommand, { type: 'controller.pause' | 'controller.resume' | 'controller.setCredit' }>

const forSource = ({ sources }: Known, command: SourceBound): Decision => {
  const { source } = command
  const facts = sources[source]
  if (facts === undefined || facts.closed) return refused(`The source ${source} is closed.`)
  const told = { to: 'source', source } as const
  switch (command.type) {
    case 'controller.pause':
      return { ...told, command: { type: 'source.pause' }, result: done({ source, paused: true }) }
    case 'controller.resume':
      return { ...told, command: { type: 'source.resume' }, result: done({ source, paused: false }) }
    case 'controller.setCredit': {
      const credit = { ...facts.credit, ...command.credit }
      const result = done({ source, credit, before: facts.credit })
      return { ...told, command: { type: 'source.setCredit', credit }, result }
    }
  }
}

const done = (facts: Readonly<Record<string, unknown>>): CommandResult => ({ status: 'done', facts })

const refusedWith = (error: ControllerError): Decision => ({ to: 'nobody', result: { status: 'refused', error } })

const refused = (why: string): Decision => refusedWith(new ControllerError('COMMAND_REFUSED', why))

const missing = (source: string, { sources }: Known): Decision =>
  refusedWith(
    new ControllerError(
      'COMMAND_INVALID',
      `There is no source ${source}; there are ${Object.keys(sources).join(', ')}.`,
    ),
  )

const away: Decision = refusedWith(new ControllerError('JOURNAL_UNAVAILABLE', 'The journal does not answer.'))
