import {
  type AnyActorRef,
  type AnyActorScope,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyStateNode,
  type AnyTransitionDefinition,
  type EventObject,
  type MachineContext,
  sendParent,
} from 'xstate'

/*
 * The short way to send, for what happens to each event. XState weighs the whole configuration of a machine for every
 * event, and makes a dozen objects for every action. Where nothing of that can matter, the same is sent here by XState's
 * own code without the walk around it: with its sender, when the turn of the sending actor is over, through the mailbox
 * of the one that gets it.
 */

/** What XState makes of `sendTo`: `resolve` finds out what goes where, `execute` sends it when the turn is over. */
interface Sending {
  readonly type: string
  readonly delay: unknown
  resolve(
    scope: AnyActorScope,
    snapshot: AnyMachineSnapshot,
    args: object,
    params: unknown,
    action: object,
    extra: object,
  ): readonly unknown[]
  execute(scope: AnyActorScope, sent: unknown): void
}

/** `sendParent` for many events at once; the parent gets each by itself. */
export const sendParentEach = <Context extends MachineContext, Expected extends EventObject>(
  eventsOf: (args: { readonly context: Context; readonly event: Expected }) => readonly EventObject[],
) => {
  const action = sendParent<Context, Expected, undefined, EventObject, Expected>({ type: 'each' })
  const { execute } = action as unknown as Sending
  const each: Pick<Sending, 'resolve' | 'execute'> = {
    resolve: (scope, snapshot, args) => [
      snapshot,
      { to: scope.self._parent, events: eventsOf(args as Parameters<typeof eventsOf>[0]) },
    ],
    execute: (scope, sent) => {
      const { to, events } = sent as { readonly to: AnyActorRef; readonly events: readonly EventObject[] }
      scope.defer(() => {
        const atOnce = { ...scope, defer: (send: () => void) => send() }
        for (const event of events) execute(atOnce, { to, event })
      })
    },
  }
  return Object.assign(action, each)
}

/**
 * The same machine, in which events go the short way that every state ignores or only sends on: without a target, a guard
 * or an assignment, so that the snapshot stays the one it was. Eventless transitions must not look at the event.
 *
 * `isWatched`: while somebody inspects the actors every event goes the whole way, so that its transition is seen.
 */
export const passing = <Machine extends AnyStateMachine>(machine: Machine, isWatched: () => boolean): Machine => {
  const transition = machine.transition.bind(machine)
  const passed = passedTypes(machine)
  const known = new Map<string, readonly Pass[]>()
  let knownOf: AnyMachineSnapshot | undefined

  const passesIn = (snapshot: AnyMachineSnapshot, event: EventObject): readonly Pass[] => {
    if (snapshot !== knownOf) {
      knownOf = snapshot
      known.clear()
    }
    let passes = known.get(event.type)
    if (passes === undefined) {
      passes = machine.getTransitionData(snapshot, event).flatMap((selected) => passesOf(machine, selected) ?? [])
      known.set(event.type, passes)
    }
    return passes
  }

  machine.transition = (snapshot, event, scope) => {
    if (!passed.has(event.type) || isWatched()) return transition(snapshot, event, scope)
    for (const { sending, params } of passesIn(snapshot, event)) {
      const args = { context: snapshot.context, event, self: scope.self, system: scope.system }
      const given = typeof params === 'function' ? params(args) : params
      const [, sent] = sending.resolve(scope, snapshot, args, given, sending, {})
      sending.execute(scope, sent)
    }
    return snapshot
  }
  return machine
}

/** One `sendTo` of a transition. */
interface Pass {
  readonly sending: Sending
  readonly params: unknown
}

const passedTypes = (machine: AnyStateMachine): ReadonlySet<string> => {
  const all = nodesOf(machine.root).flatMap(({ transitions }) => [...transitions.values()].flat())
  const isPassed = (type: string): boolean =>
    all.every((transition) => !covers(transition.eventType, type) || passesOf(machine, transition) !== undefined)
  return new Set(all.map(({ eventType }) => eventType as string).filter(isPassed))
}

const nodesOf = (node: AnyStateNode): AnyStateNode[] => [node, ...Object.values(node.states).flatMap(nodesOf)]

const covers = (descriptor: string, type: string): boolean =>
  descriptor.endsWith('*') ? type.startsWith(descriptor.slice(0, -1)) : descriptor === type

/** What a transition sends; `undefined` if it does anything else. */
const passesOf = (
  machine: AnyStateMachine,
  { target, guard, actions }: AnyTransitionDefinition,
): readonly Pass[] | undefined => {
  if (target !== undefined || guard !== undefined) return undefined
  const passes = actions.map((action): Pass | undefined => {
    const { type, params } = typeof action === 'object' ? action : { type: action, params: undefined }
    const sending = machine.implementations.actions[type as string] as Sending | undefined
    return sending?.type === 'xstate.sendTo' && sending.delay === undefined ? { sending, params } : undefined
  })
  return passes.includes(undefined) ? undefined : (passes as Pass[])
}
