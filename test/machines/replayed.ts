import { type AnyStateMachine, createActor, SimulatedClock } from 'xstate'
import { pathOf, type WalkedState } from '../../src/testing/walk.ts'

/**
 * Each walked state's shortest way there on a running actor, whose children do nothing: what was predicted without running
 * anything, and where the actor is. Timers do not go off by themselves; they are events of the way.
 */
export const replayed = (
  machine: AnyStateMachine,
  input: unknown,
  states: readonly WalkedState[],
): { readonly predicted: string; readonly reached: string }[] =>
  states.map(({ trace, path }) => {
    const actor = createActor(machine, { input, clock: new SimulatedClock() })
    actor.start()
    for (const event of trace) actor.send(event)
    const reached = pathOf(actor.getSnapshot())
    actor.stop()
    return { predicted: path, reached }
  })
