import type { AnyStateMachine, AnyStateNode } from 'xstate'

/**
 * The machines as they are, for `koksmat-controller graph` and `GET /graph`: read off the running definitions, so that
 * no diagram can differ from the code.
 */
export interface MachineGraph {
  /** The actor that runs it: `controller`, `source:orders`, `jobs` … */
  readonly actor: string
  readonly machine: string
  readonly root: GraphState
  /** Names of the states it is in, outermost first, joined by dots; empty for a definition that does not run. */
  readonly active: readonly string[]
}

export interface GraphState {
  readonly name: string
  readonly type: 'atomic' | 'compound' | 'parallel' | 'final' | 'history'
  readonly initial?: string
  readonly tags: readonly string[]
  readonly transitions: readonly GraphTransition[]
  readonly states: readonly GraphState[]
}

export interface GraphTransition {
  /** Event type, or `after <delay>`; empty for a transition that is taken as soon as its guard is true. */
  readonly event: string
  /** Paths of the target states; empty for one that stays. */
  readonly targets: readonly string[]
  readonly guard?: string
}

/** @param value the `value` of a snapshot: what is active */
export const describeMachine = (actor: string, machine: AnyStateMachine, value?: unknown): MachineGraph => ({
  actor,
  machine: machine.id,
  root: describeState(machine.root),
  active: activePaths(value),
})

const describeState = (node: AnyStateNode): GraphState => {
  const initial = node.type === 'compound' ? node.initial.target[0]?.key : undefined
  return {
    name: node.key,
    type: node.type,
    ...(initial === undefined ? {} : { initial }),
    tags: node.tags,
    transitions: [...node.transitions.values(), node.always ?? []].flat().map(({ eventType, target, guard }) => ({
      event: eventType.replace(/^xstate\.after\.([^.]+)\..*$/, 'after $1'),
      targets: (target ?? []).map((each) => each.path.join('.')),
      ...(guard === undefined ? {} : { guard: guardName(guard) }),
    })),
    states: Object.values(node.states).map(describeState),
  }
}

const guardName = (guard: unknown): string => {
  if (typeof guard === 'string') return guard
  if (typeof guard === 'object' && guard !== null && 'type' in guard) return String(guard.type)
  return 'inline'
}

const activePaths = (value: unknown, above = ''): string[] => {
  if (typeof value === 'string') return [above + value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => [above + name, ...activePaths(inner, `${above}${name}.`)])
}

/** One Mermaid state diagram, a composite state an actor; what is active stands out. */
export const toMermaid = (graphs: readonly MachineGraph[]): string => {
  const lines = ['stateDiagram-v2', '  classDef active fill:#1f6feb,color:#fff,stroke:#1f6feb']
  for (const graph of graphs) {
    const id = identifier(graph.actor)
    lines.push(`  state "${graph.actor}" as ${id} {`, ...statesOf(graph.root, id, id, '    '), '  }')
    for (const path of graph.active) lines.push(`  class ${id}_${identifier(path)} active`)
  }
  return `${lines.join('\n')}\n`
}

const statesOf = (state: GraphState, id: string, root: string, indent: string): string[] => {
  const lines: string[] = []
  for (const child of state.states) {
    const childId = `${id}_${identifier(child.name)}`
    if (child.states.length === 0) lines.push(`${indent}state "${child.name}" as ${childId}`)
    else {
      lines.push(`${indent}state "${child.name}" as ${childId} {`)
      lines.push(...statesOf(child, childId, root, `${indent}  `), `${indent}}`)
    }
  }
  if (state.initial !== undefined) lines.push(`${indent}[*] --> ${id}_${identifier(state.initial)}`)
  for (const child of state.states) {
    const from = `${id}_${identifier(child.name)}`
    for (const [to, labels] of arrowsOf(child, root)) lines.push(`${indent}${from} --> ${to}: ${labels.join(' | ')}`)
    if (child.type === 'final') lines.push(`${indent}${from} --> [*]`)
  }
  return lines
}

/** The arrows out of a state by their target, each with all its labels: parallel arrows are hard to read. */
const arrowsOf = (state: GraphState, root: string): Map<string, string[]> => {
  const arrows = new Map<string, string[]>()
  for (const { event, targets, guard } of state.transitions) {
    const label = [event, guard === undefined ? '' : `[${guard}]`].filter((part) => part !== '').join(' ') || 'always'
    for (const target of targets) {
      const to = `${root}_${identifier(target)}`
      arrows.set(to, [...(arrows.get(to) ?? []), label])
    }
  }
  return arrows
}

const identifier = (name: string): string => name.replaceAll(/\W/g, '_')
