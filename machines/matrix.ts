import type { AnyStateMachine, AnyStateNode } from 'xstate'
import type { ControllerEvent } from './controller.ts'
import type { LinkFact, SourceCommand } from './protocol.ts'

/**
 * What each state of a machine says to each event: nothing may be left to chance.
 *
 * - `handled`  the state, or one around it, does something or goes somewhere, perhaps under a guard;
 * - `ignored`  an empty transition says that there is nothing to do: somebody thought of it;
 * - `blank`    nobody answers, or only under a guard that may say no.
 *
 * Read off the definition as XState resolves it: the innermost state with an answer has it. Final states are left out;
 * a machine that has stopped is told nothing.
 */
export type MatrixAnswer = 'handled' | 'ignored' | 'blank'

export interface MatrixRow {
  /** Path of the innermost state, joined by dots. */
  readonly state: string
  readonly event: string
  readonly answer: MatrixAnswer
}

export const matrixOf = (machine: AnyStateMachine, eventTypes: readonly string[]): readonly MatrixRow[] =>
  leavesOf(machine.root).flatMap((leaf) =>
    eventTypes.map((event) => ({ state: leaf.path.join('.'), event, answer: answerOf(leaf, event) })),
  )

const leavesOf = (node: AnyStateNode): readonly AnyStateNode[] => {
  if (node.type === 'final') return []
  const children = Object.values(node.states)
  return children.length === 0 ? [node] : children.flatMap(leavesOf)
}

const answerOf = (leaf: AnyStateNode, event: string): MatrixAnswer => {
  let acts = false
  for (let node: AnyStateNode | undefined = leaf; node !== undefined; node = node.parent) {
    for (const { target, actions, guard } of node.transitions.get(event) ?? []) {
      acts ||= target !== undefined || actions.length > 0
      if (guard === undefined) return acts ? 'handled' : 'ignored'
    }
  }
  return 'blank'
}

/** Every event type of the protocol that reaches a source; a new one does not compile before it stands here. */
export const sourceEventTypes: readonly string[] = Object.keys({
  'source.listen': true,
  'source.settle': true,
  'source.pause': true,
  'source.resume': true,
  'source.setCredit': true,
  'source.drain': true,
  'source.abort': true,
  'link.connected': true,
  'link.failed': true,
  'link.delivered': true,
  'link.lost': true,
  'link.cancelled': true,
  'link.disconnected': true,
} satisfies Record<(SourceCommand | LinkFact)['type'], true>)

/** The same for the controller, with what XState reports of its children. */
export const controllerEventTypes: readonly string[] = Object.keys({
  'queue.event': true,
  'database.trigger': true,
  'webhook.event': true,
  'source.moved': true,
  'jobs.settled': true,
  'journal.up': true,
  'journal.down': true,
  'journal.closed': true,
  'controller.drain': true,
  'controller.abort': true,
  'controller.pause': true,
  'controller.resume': true,
  'controller.setCredit': true,
  'controller.redrive': true,
  'controller.drop': true,
  'controller.edit': true,
  'controller.releaseWaiter': true,
  'controller.setLogLevel': true,
  'controller.rotateSecret': true,
  'operator.performed': true,
  'xstate.done.actor.*': true,
  'xstate.error.actor.*': true,
} satisfies Record<ControllerEvent['type'], true>)
