import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type EventFromLogic,
  type EventObject,
  type InputFrom,
  initialTransition,
  type SnapshotFrom,
  transition,
} from 'xstate'

/**
 * Walks a machine by its pure transition function: from its first state with every event that may come, every timer that
 * may go off and every answer of an invoked actor, until nothing new is found. No action runs and no time passes.
 *
 * Breadth first, so the trace of each state is a shortest way to it.
 */
export interface WalkOptions<Machine extends AnyStateMachine = AnyStateMachine> {
  readonly input?: InputFrom<Machine>
  /** What may be sent: the same in every state, or what fits a state. */
  readonly events:
    | readonly EventFromLogic<Machine>[]
    | ((snapshot: SnapshotFrom<Machine>) => readonly (EventFromLogic<Machine> | EventObject)[])
  /**
   * How invoked actors may end, by their id (default: once with `undefined`, once with an error). `[]`: this one never
   * ends.
   */
  readonly answers?: Readonly<Record<string, readonly Answering[]>>
  /** What tells two states apart (default: the state value and the context, as JSON). */
  readonly keyOf?: (snapshot: SnapshotFrom<Machine>) => string
  /** Gives up above it (default 10,000): the context grows without end, or `keyOf` tells too much apart. */
  readonly maxStates?: number
}

export type Answering = { readonly output: unknown } | { readonly error: unknown }

export interface Walk<Machine extends AnyStateMachine = AnyStateMachine> {
  readonly states: readonly WalkedState<Machine>[]
  /** Names of innermost states that nothing leads to. */
  readonly unreached: readonly string[]
}

export interface WalkedState<Machine extends AnyStateMachine = AnyStateMachine> {
  readonly snapshot: SnapshotFrom<Machine>
  /** Names of the innermost state and those around it, joined by dots. */
  readonly path: string
  /** A shortest way here. */
  readonly trace: readonly EventObject[]
  /** What may come here, and what it leads to. Empty in a state that has ended. */
  readonly steps: readonly Step<Machine>[]
}

export interface Step<Machine extends AnyStateMachine = AnyStateMachine> {
  readonly event: EventObject
  readonly by: 'sender' | 'timer' | 'actor'
  /** Some state answers it, if only with an empty transition. */
  readonly answered: boolean
  readonly to: WalkedState<Machine>
}

/** @throws Error when there are more than `maxStates` */
export const walkMachine = <Machine extends AnyStateMachine>(
  machine: Machine,
  options: WalkOptions<Machine>,
): Walk<Machine> => walkAny(machine, options as WalkOptions) as Walk<Machine>

type Found = WalkedState & { readonly steps: Step[] }

const walkAny = (machine: AnyStateMachine, options: WalkOptions): Walk => {
  const { keyOf = defaultKey, maxStates = 10_000 } = options
  const states = new Map<string, Found>()
  const open: Found[] = []

  const find = (snapshot: AnyMachineSnapshot, trace: () => readonly EventObject[]): Found => {
    const key = keyOf(snapshot)
    const known = states.get(key)
    if (known !== undefined) return known
    if (states.size >= maxStates) throw new Error(`More than ${maxStates} states: say in \`keyOf\` what matters.`)
    const found: Found = { snapshot, path: pathOf(snapshot), trace: trace(), steps: [] }
    states.set(key, found)
    open.push(found)
    return found
  }

  const [first] = initialTransition(machine, options.input)
  find(first, () => [])
  for (const from of open) {
    if (from.snapshot.status !== 'active') continue
    for (const { event, by } of comingIn(from.snapshot, options)) {
      const [next] = transition(machine, from.snapshot, event)
      const to = find(next, () => [...from.trace, event])
      from.steps.push({ event, by, answered: isAnswered(machine, from.snapshot, event), to })
    }
  }
  const reached = new Set([...states.values()].flatMap(({ snapshot }) => snapshot._nodes.map(({ id }) => id)))
  const unreached = leavesOf(machine.root).filter(({ id }) => !reached.has(id))
  return { states: [...states.values()], unreached: unreached.map(({ path }) => path.join('.')) }
}

/** Where it ends when from now on only timers go off, and what `help` says where there is none. */
export const runOut = (
  machine: AnyStateMachine,
  from: AnyMachineSnapshot,
  help: (snapshot: AnyMachineSnapshot) => EventObject | undefined = () => undefined,
): AnyMachineSnapshot => {
  let snapshot = from
  for (let steps = 0; steps < maxSteps && snapshot.status === 'active'; steps++) {
    const event = timersOf(snapshot)[0] ?? help(snapshot)
    if (event === undefined) break
    ;[snapshot] = transition(machine, snapshot, event)
  }
  return snapshot
}

const maxSteps = 1_000

/** The timers that run in this state, as the events of their going off. */
export const timersOf = (snapshot: AnyMachineSnapshot): readonly EventObject[] =>
  snapshot._nodes.flatMap((node) =>
    [...node.transitions.keys()].filter((type) => type.startsWith('xstate.after.')).map((type) => ({ type })),
  )

/** Names of the innermost state and those around it, joined by dots; of several at once, all of them. */
export const pathOf = (snapshot: AnyMachineSnapshot): string =>
  snapshot._nodes
    .filter((node) => Object.keys(node.states).length === 0)
    .map((node) => node.path.join('.'))
    .join(' + ')

/** Whether some state takes the event as the snapshot stands: guards count. */
export const isAnswered = (machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject): boolean =>
  machine.getTransitionData(snapshot, event).length > 0

const defaultKey = (snapshot: AnyMachineSnapshot): string =>
  JSON.stringify([snapshot.status, snapshot.value, snapshot.context])

const comingIn = (
  snapshot: AnyMachineSnapshot,
  { events, answers }: WalkOptions,
): readonly Pick<Step, 'event' | 'by'>[] => {
  const sent: readonly EventObject[] = typeof events === 'function' ? events(snapshot) : events
  return [
    ...sent.map((event) => ({ event, by: 'sender' as const })),
    ...timersOf(snapshot).map((event) => ({ event, by: 'timer' as const })),
    ...runningActors(snapshot).flatMap((id) =>
      answersOf(id, answers).map((event) => ({ event, by: 'actor' as const })),
    ),
  ]
}

/** Ids of the invoked and spawned actors that run in this state. */
export const runningActors = (snapshot: AnyMachineSnapshot): readonly string[] => [
  ...new Set([
    ...snapshot._nodes.flatMap(({ invoke }) => invoke.map(({ id }) => id)),
    ...Object.keys(snapshot.children),
  ]),
]

/** The events by which XState tells how an actor ended. */
export const answersOf = (actorId: string, answers: WalkOptions['answers'] = {}): readonly EventObject[] =>
  (answers[actorId] ?? [{ output: undefined }, { error: new Error(`${actorId} failed`) }]).map((answer) =>
    'error' in answer
      ? { type: `xstate.error.actor.${actorId}`, error: answer.error, actorId }
      : { type: `xstate.done.actor.${actorId}`, output: answer.output, actorId },
  )

type Node = AnyStateMachine['root']

const leavesOf = (node: Node): readonly Node[] => {
  const children = Object.values(node.states) as Node[]
  return children.length === 0 ? [node] : children.flatMap(leavesOf)
}
