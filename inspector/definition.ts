import { createHash } from 'node:crypto'
import type { AnyStateMachine, AnyStateNode } from 'xstate'
import type { MachineDefinition, StateDefinition, TransitionDefinition } from './protocol/definition.ts'

/**
 * Machines as they were written, read off their own nodes, each once. What fires at run time are the very objects that
 * stand in the nodes, so an edge is found by identity.
 */
export interface Described {
  readonly definition: MachineDefinition
  /** `TransitionDefinition` of a transition that XState says has fired. */
  edgeOf(transition: object): TransitionDefinition | undefined
}

export interface Definitions {
  /** `undefined` for logic that is not a machine. */
  of(logic: unknown): Described | undefined
  byHash(hash: string): MachineDefinition | undefined
}

const mostKept = 1_000

export const createDefinitions = (): Definitions => {
  const known = new WeakMap<object, Described | { readonly none: true }>()
  const byHash = new Map<string, MachineDefinition>()
  return {
    of: (logic) => {
      if (typeof logic !== 'object' || logic === null) return undefined
      let found = known.get(logic)
      if (found === undefined) {
        found = isMachine(logic) ? describe(logic) : { none: true }
        known.set(logic, found)
        if ('definition' in found && byHash.size < mostKept) byHash.set(found.definition.hash, found.definition)
      }
      return 'definition' in found ? found : undefined
    },
    byHash: (hash) => byHash.get(hash),
  }
}

const isMachine = (logic: object): logic is AnyStateMachine => {
  const { root, config } = logic as { root?: { states?: unknown }; config?: unknown }
  return typeof root === 'object' && typeof root.states === 'object' && typeof config === 'object'
}

const describe = (machine: AnyStateMachine): Described => {
  const edges = new WeakMap<object, TransitionDefinition>()
  const root = describeState(machine.root, edges)
  const text = JSON.stringify({ id: machine.id, root })
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return { definition: { hash, id: machine.id, root }, edgeOf: (transition) => edges.get(transition) }
}

export const pathOf = (node: { readonly path: readonly string[] }): string => node.path.join('.')

const describeState = (node: AnyStateNode, edges: WeakMap<object, TransitionDefinition>): StateDefinition => {
  const path = pathOf(node)
  const initial = node.type === 'compound' ? node.initial.target[0] : undefined
  const transitions = [...node.transitions.values(), node.always ?? []].flat().map((each, i) => {
    const described = describeTransition(each, `${path}#${i}`)
    edges.set(each, described)
    return described
  })
  return {
    path,
    key: node.key,
    type: node.type,
    ...(initial === undefined ? {} : { initial: pathOf(initial) }),
    ...(node.description === undefined ? {} : { description: node.description }),
    tags: node.tags,
    entry: node.entry.filter(isWritten).map(nameOf),
    exit: node.exit.filter(isWritten).map(nameOf),
    invokes: node.invoke.map(({ id, src }) => ({ id, src: typeof src === 'string' ? src : 'inline' })),
    transitions,
    states: Object.values(node.states).map((child) => describeState(child, edges)),
  }
}

/** XState keeps the timers of `after` as entry and exit actions; nobody wrote those. */
const isWritten = (action: unknown): boolean => {
  const { event, sendId } = action as { event?: { type?: unknown }; sendId?: unknown }
  return !(isTimer(event?.type) || isTimer(sendId))
}

const isTimer = (name: unknown): boolean => typeof name === 'string' && name.startsWith('xstate.after.')

/** What of XState's transition definitions is read. */
export interface Fired {
  readonly eventType: string
  readonly source?: AnyStateNode
  readonly target?: readonly AnyStateNode[] | undefined
  readonly guard?: unknown
  readonly actions?: readonly unknown[]
  readonly reenter?: boolean
  readonly description?: string | undefined
}

const describeTransition = (fired: Fired, id: string): TransitionDefinition => {
  const { eventType, target, guard, actions, reenter, description } = fired
  return {
    id,
    event: eventType,
    ...labelOf(eventType),
    targets: (target ?? []).map(pathOf),
    ...(guard === undefined ? {} : { guard: guardOf(guard) }),
    actions: (actions ?? []).map(nameOf),
    reenter: reenter === true,
    ...(description === undefined ? {} : { description }),
  }
}

const labelOf = (event: string): Pick<TransitionDefinition, 'label' | 'kind'> => {
  const after = /^xstate\.after\.(.+?)\./.exec(event)?.[1]
  if (after !== undefined) return { kind: 'after', label: `after ${/^\d+$/.test(after) ? durationOf(+after) : after}` }
  const done = /^xstate\.done\.(?:actor|state)\.?(.*)$/.exec(event)?.[1]
  if (done !== undefined) return { kind: 'done', label: done === '' ? 'done' : `done: ${done}` }
  const error = /^xstate\.error\.actor\.?(.*)$/.exec(event)?.[1]
  if (error !== undefined) return { kind: 'error', label: error === '' ? 'error' : `error: ${error}` }
  return event === '' ? { kind: 'always', label: 'always' } : { kind: 'event', label: event }
}

const durationOf = (ms: number): string =>
  ms < 1_000 ? `${ms} ms` : ms < 120_000 ? `${ms / 1_000} s` : `${Math.round(ms / 600) / 100} min`

const nameOf = (named: unknown): string => {
  if (typeof named === 'string') return named
  const { type, name } = named as { type?: unknown; name?: unknown }
  if (typeof type === 'string' && type !== '') return type
  return typeof name === 'string' && name !== '' ? name : 'inline'
}

const guardOf = (guard: unknown): string => {
  const { guards, check } = guard as { guards?: unknown; check?: unknown }
  if (typeof guard !== 'function' || check === undefined || !Array.isArray(guards)) return nameOf(guard)
  return `${nameOf(guard).replace('xstate.', '')}(${guards.map(guardOf).join(', ')})`
}

/** Paths of the active states, outermost first. */
export const activePaths = (value: unknown, above = ''): string[] => {
  if (typeof value === 'string') return [above + value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => [above + name, ...activePaths(inner, `${above}${name}.`)])
}
