import { type AnyMachineSnapshot, type AnyStateMachine, type EventObject, initialTransition, transition } from 'xstate'

/**
 * Walks a machine by its pure transition function: every state and every bit of context that `keyOf` tells apart, with
 * every event that may come there and every timer that may fire.
 */
export interface Exploration {
  readonly machine: AnyStateMachine
  readonly input: unknown
  eventsIn(snapshot: AnyMachineSnapshot): readonly EventObject[]
  keyOf(snapshot: AnyMachineSnapshot): string
}

export const reachable = ({ machine, input, eventsIn, keyOf }: Exploration): readonly AnyMachineSnapshot[] => {
  const [first] = initialTransition(machine, input)
  const found = new Map<string, AnyMachineSnapshot>([[keyOf(first), first]])
  const open: AnyMachineSnapshot[] = [first]
  for (let snapshot = open.pop(); snapshot !== undefined; snapshot = open.pop()) {
    if (snapshot.status !== 'active') continue
    for (const event of [...eventsIn(snapshot), ...timersOf(snapshot)]) {
      const [following] = transition(machine, snapshot, event)
      const key = keyOf(following)
      if (found.has(key)) continue
      found.set(key, following)
      open.push(following)
    }
  }
  return [...found.values()]
}

/** The timers that run in this state, as the events of their going off. */
export const timersOf = (snapshot: AnyMachineSnapshot): readonly EventObject[] =>
  snapshot._nodes.flatMap((node) =>
    [...node.transitions.keys()].filter((type) => type.startsWith('xstate.after.')).map((type) => ({ type })),
  )

/** Names of the innermost states, joined by dots. */
export const pathOf = (snapshot: AnyMachineSnapshot): string =>
  snapshot._nodes
    .reduce((deepest, node) => (node.path.length > deepest.length ? node.path : deepest), [] as string[])
    .join('.')

/** Where it ends when `first` comes and from then on only timers go off, and `help` where there is none. */
export const ends = (
  machine: AnyStateMachine,
  from: AnyMachineSnapshot,
  first: EventObject,
  help: (snapshot: AnyMachineSnapshot) => EventObject | undefined,
): AnyMachineSnapshot => {
  let [snapshot] = transition(machine, from, first)
  for (let step = 0; step < 20 && snapshot.status === 'active'; step++) {
    const event = timersOf(snapshot)[0] ?? help(snapshot)
    if (event === undefined) break
    snapshot = transition(machine, snapshot, event)[0]
  }
  return snapshot
}
