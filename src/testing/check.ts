import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EventObject,
  type SnapshotFrom,
  transition,
} from 'xstate'
import { answersOf, runOut, type Walk, type WalkedState, type WalkOptions, walkMachine } from './walk.ts'

/**
 * What goes wrong with a machine in a world where anything may happen in any state.
 *
 * - `unanswered`  an event that nobody thought of in this state; an empty transition (`EVENT: {}`) says "nothing to do"
 * - `stuck`       no event, timer or answer leads from this state to an end
 * - `failed`      the machine ends in an error
 * - `unreached`   no way leads to this state
 * - `stop`        after the stop event, the timers alone do not bring it to an end
 * - `crash`       stored as JSON and restored, it is not the same machine any more
 * - `duplicate`   an event that comes twice fails, or has a second effect where it must not
 * - `lateReply`   what an actor answers after it was left behind moves the machine
 */
export interface Finding {
  readonly kind: 'unanswered' | 'stuck' | 'failed' | 'unreached' | 'stop' | 'crash' | 'duplicate' | 'lateReply'
  /** Path of the state. */
  readonly state: string
  /** Type of the event, where it is about one. */
  readonly event?: string
  /** What would be right, or what was lost. */
  readonly message: string
  /** A shortest way to the state: types of events. */
  readonly trace: readonly string[]
}

export interface CheckOptions<Machine extends AnyStateMachine = AnyStateMachine> extends WalkOptions<Machine> {
  /** The event that asks the machine to end; in every state it must, although no actor answers any more. */
  readonly stop?: EventObject
  /** What somebody else still does after the stop, where no timer runs. */
  readonly afterStop?: (snapshot: SnapshotFrom<Machine>) => EventObject | undefined
  /** Where it may come to rest (default: final states). */
  readonly isEnd?: (snapshot: SnapshotFrom<Machine>) => boolean
  /** Types of events of which the second in a row must change nothing and run no action. `true`: all. */
  readonly idempotent?: true | readonly string[]
}

/** Walks the machine and injects stop, crash, duplicate and late reply at every step; an empty list is what you want. */
export const checkMachine = <Machine extends AnyStateMachine>(
  machine: Machine,
  options: CheckOptions<Machine>,
): readonly Finding[] => checkAny(machine, options as CheckOptions)

const checkAny = (machine: AnyStateMachine, options: CheckOptions): readonly Finding[] => {
  const walk = walkMachine(machine, options)
  const active = walk.states.filter(({ snapshot }) => snapshot.status === 'active')
  return [
    ...walk.unreached.map(
      (state): Finding => ({ kind: 'unreached', state, message: 'No event leads here.', trace: [] }),
    ),
    ...walk.states.filter(({ snapshot }) => snapshot.status === 'error').map(failed),
    ...active.flatMap(unanswered),
    ...stuckIn(walk, options).map((state) => finding(state, 'stuck', 'No way leads from here to an end.')),
    ...active.flatMap((state) => [
      ...stopping(machine, state, options),
      ...crashing(machine, state, options),
      ...duplicating(machine, state, options),
      ...answeringLate(machine, state, walk, options),
    ]),
  ]
}

const finding = (
  { path, trace }: WalkedState,
  kind: Finding['kind'],
  message: string,
  event?: EventObject,
): Finding => ({
  kind,
  state: path,
  ...(event === undefined ? {} : { event: event.type }),
  message,
  trace: trace.map(({ type }) => type),
})

const failed = (state: WalkedState): Finding =>
  finding(state, 'failed', `The machine has failed: ${textOf(state.snapshot.error)}.`)

const unanswered = (state: WalkedState): readonly Finding[] =>
  state.steps
    .filter(({ answered, to }) => !answered && to.snapshot.status !== 'error')
    .map(({ event }) => finding(state, 'unanswered', 'Nothing answers it here; `{}` says that this is meant.', event))

/** States from which no end can be reached. */
const stuckIn = (
  { states }: Walk,
  { isEnd = ({ status }) => status === 'done' }: Pick<CheckOptions, 'isEnd'>,
): readonly WalkedState[] => {
  const before = new Map<WalkedState, WalkedState[]>()
  for (const state of states) {
    for (const { to } of state.steps) before.set(to, [...(before.get(to) ?? []), state])
  }
  const ending = new Set(states.filter(({ snapshot }) => isEnd(snapshot)))
  for (const state of ending) for (const each of before.get(state) ?? []) ending.add(each)
  return states.filter((state) => state.snapshot.status === 'active' && !ending.has(state))
}

const stopping = (
  machine: AnyStateMachine,
  state: WalkedState,
  { stop, afterStop }: CheckOptions,
): readonly Finding[] => {
  if (stop === undefined) return []
  const [stopped] = transition(machine, state.snapshot, stop)
  const { status, value } = runOut(machine, stopped, afterStop)
  return status === 'done' ? [] : [finding(state, 'stop', `It rests in ${JSON.stringify(value)}.`, stop)]
}

const crashing = (machine: AnyStateMachine, state: WalkedState, options: CheckOptions): readonly Finding[] => {
  const { keyOf = wholeKey } = options
  try {
    const restored = storedAndRestored(machine, state.snapshot)
    const lost = lossIn(state.snapshot.context, restored.context, 'context')
    if (lost !== undefined) return [finding(state, 'crash', lost)]
    return state.steps.flatMap(({ event, to }) =>
      keyOf(transition(machine, restored, event)[0]) === keyOf(to.snapshot)
        ? []
        : [finding(state, 'crash', 'After a restart it goes elsewhere.', event)],
    )
  } catch (thrown) {
    return [finding(state, 'crash', `It cannot be stored and restored: ${textOf(thrown)}`)]
  }
}

const storedAndRestored = (machine: AnyStateMachine, snapshot: AnyMachineSnapshot): AnyMachineSnapshot => {
  const stored = JSON.parse(JSON.stringify(machine.getPersistedSnapshot(snapshot)))
  return createActor(machine, { snapshot: stored }).getSnapshot()
}

/** The first thing that JSON did not keep; properties that are `undefined` may go. */
const lossIn = (before: unknown, after: unknown, path: string): string | undefined => {
  if (Object.is(before, after)) return undefined
  if (typeof before !== 'object' || before === null || typeof after !== 'object' || after === null) {
    return `JSON does not keep ${path}: ${kindOf(before)} becomes ${kindOf(after)}.`
  }
  if (Object.getPrototypeOf(before) !== Object.getPrototypeOf(after) && !Array.isArray(before)) {
    return `JSON does not keep ${path}: ${kindOf(before)} becomes ${kindOf(after)}.`
  }
  for (const [name, value] of Object.entries(before)) {
    const lost = lossIn(value, (after as Record<string, unknown>)[name], `${path}.${name}`)
    if (lost !== undefined) return lost
  }
  return undefined
}

const kindOf = (value: unknown): string => {
  if (typeof value === 'object' && value !== null) return `a ${value.constructor?.name ?? 'object'}`
  return typeof value === 'function' ? 'a function' : String(value)
}

const duplicating = (
  machine: AnyStateMachine,
  state: WalkedState,
  { idempotent = [], keyOf = wholeKey }: CheckOptions,
): readonly Finding[] =>
  state.steps
    .filter(({ by, to }) => by === 'sender' && to.snapshot.status === 'active')
    .flatMap(({ event, to }) => {
      const [again, actions] = transition(machine, to.snapshot, event)
      if (again.status === 'error') return [finding(state, 'duplicate', 'The second one makes it fail.', event)]
      if (idempotent !== true && !idempotent.includes(event.type)) return []
      if (actions.length > 0) return [finding(state, 'duplicate', 'The second one runs actions.', event)]
      return keyOf(again) === keyOf(to.snapshot)
        ? []
        : [finding(state, 'duplicate', `The second one leads to ${JSON.stringify(again.value)}.`, event)]
    })

const wholeKey = ({ value, context }: AnyMachineSnapshot): string => JSON.stringify([value, context])

/** Every actor that may have run before this state and does not run in it, with each of its answers. */
const answeringLate = (
  machine: AnyStateMachine,
  state: WalkedState,
  { states }: Walk,
  { answers, keyOf = wholeKey }: CheckOptions,
): readonly Finding[] => {
  const running = new Set(state.steps.filter(({ by }) => by === 'actor').map(({ event }) => actorOf(event)))
  const gone = new Set(
    states.flatMap(({ steps }) => steps.filter(({ by }) => by === 'actor').map(({ event }) => actorOf(event))),
  ).difference(running)
  return [...gone].flatMap((id) =>
    answersOf(id, answers)
      .filter(({ type }) => type.startsWith('xstate.done.'))
      .flatMap((event) => {
        const [after] = transition(machine, state.snapshot, event)
        return keyOf(after) === keyOf(state.snapshot)
          ? []
          : [finding(state, 'lateReply', `It leads to ${JSON.stringify(after.value)}.`, event)]
      }),
  )
}

const actorOf = (event: EventObject): string => ('actorId' in event ? String(event.actorId) : '')

const textOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))
