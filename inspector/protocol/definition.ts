/** A machine as it was written, states in source order. `GET /inspector/definitions/HASH.json` */
export interface MachineDefinition {
  readonly hash: string
  readonly id: string
  readonly root: StateDefinition
}

export interface StateDefinition {
  /** Keys from below the root, joined by dots: `draining.finishing`; the root is ''. Unique within the machine. */
  readonly path: string
  readonly key: string
  readonly type: 'atomic' | 'compound' | 'parallel' | 'final' | 'history'
  /** Path of the state entered first: compound states only. */
  readonly initial?: string
  readonly description?: string
  readonly tags: readonly string[]
  readonly entry: readonly string[]
  readonly exit: readonly string[]
  readonly invokes: readonly { readonly id: string; readonly src: string }[]
  readonly transitions: readonly TransitionDefinition[]
  readonly states: readonly StateDefinition[]
}

export interface TransitionDefinition {
  /** Unique within the machine: `draining.finishing#2`. */
  readonly id: string
  /** As XState has it: `queue.event`, `xstate.after.drainTimeout.controller.draining.finishing`, '' for always. */
  readonly event: string
  /** For people: `queue.event`, `after drainTimeout`, `after 3 s`, `always`, `done: link`, `error: link`. */
  readonly label: string
  readonly kind: 'event' | 'after' | 'always' | 'done' | 'error'
  /** Paths; empty for one that stays where it is. */
  readonly targets: readonly string[]
  readonly guard?: string
  readonly actions: readonly string[]
  readonly reenter: boolean
  readonly description?: string
}
