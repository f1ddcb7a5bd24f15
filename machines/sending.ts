import type {
  AnyActorRef,
  AnyActorScope,
  AnyMachineSnapshot,
  AnyStateMachine,
  AnyStateNode,
  AnyTransitionDefinition,
  EventObject,
  MachineContext,
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
  readonly delay?: unknown
  resolve(
    scope: AnyActorScope,
    snapshot: AnyMachineSnapshot,
    args: object,
    params: unknown,
    action: object,
    extra: object,
  ): readonly unknown[]
  execute?(scope: AnyActorScope, sent: unknown): void
}

/** What `sendEach` is told, besides what every action is. */
export interface Telling<Context, Expected> {
  readonly context: Context
  readonly event: Expected
  readonly parent: AnyActorRef | undefined
  readonly children: Readonly<Record<string, AnyActorRef | undefined>>
}

/** To nobody is an error of the machine, as with XState's own `sendTo`. */
export type Send = (to: AnyActorRef | undefined, event: EventObject) => void

/**
 * Sends as many events as `tell` likes, when the turn of the sending actor is over; each goes by itself.
 *
 * For what carries payloads. XState lists the actions it executes in a step, and the function that does so is made in the
 * old generation of V8's heap, like every function literal that is assigned to a property. So it keeps the list, and with it
 * all that was sent, until the next full collection. This action is resolved and not executed: it comes on no list.
 */
export const sendEach = <Context extends MachineContext, Expected extends EventObject>(
  tell: (told: Telling<Context, Expected>, send: Send) => void,
) => {
  const each: Sending = {
    type: eachType,
    resolve: (scope, snapshot, args) => {
      const { context, event } = args as Pick<Telling<Context, Expected>, 'context' | 'event'>
      const { self } = scope
      const system = scope.system as unknown as Relaying
      const send: Send = (to, sent) => {
        if (to === undefined) throw new Error(`${self.id} has nobody to send ${sent.type} to.`)
        system._relay(self, to, sent)
      }
      scope.defer(() => tell({ context, event, parent: self._parent, children: snapshot.children }, send))
      return [snapshot]
    },
  }
  return Object.assign(() => undefined, each) as unknown as SendAction<Context, Expected>
}

/** How every event goes from actor to actor in XState, seen by inspectors, into the mailbox of its target. */
interface Relaying {
  _relay(source: AnyActorRef, target: AnyActorRef, event: EventObject): void
}

const eachType = 'koksmat.sendEach'

type SendAction<Context extends MachineContext, Expected extends EventObject> = ReturnType<
  typeof sendParent<Context, Expected, undefined, EventObject, Expected>
>

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
      sending.execute?.(scope, sent)
    }
    return snapshot
  }
  return machine
}

/** One `sendTo` or `sendEach` of a transition. */
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
    const isSent = sending?.type === eachType || (sending?.type === 'xstate.sendTo' && sending.delay === undefined)
    return isSent ? { sending, params } : undefined
  })
  return passes.includes(undefined) ? undefined : (passes as Pass[])
}
