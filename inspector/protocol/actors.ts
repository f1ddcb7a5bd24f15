/** Actors, what happens to them, and how their values are written as JSON. See `../protocol.ts`. */

export interface ActorView extends ActorState {
  readonly sessionId: string
  /** As the parent knows it: `source:orders`, `jobs`, `link`. */
  readonly id: string
  readonly parentId?: string
  readonly systemId?: string
  readonly kind: 'machine' | 'promise' | 'callback' | 'observable' | 'transition' | 'other'
  /** The machine's own id, or the name its logic was referred to by. */
  readonly src?: string
  /** Hash of its definition: machines only. */
  readonly defId?: string
  /** Epoch ms; absent for actors that lived before anybody looked. */
  readonly startedAt?: number
  readonly endedAt?: number
}

export interface ActorState {
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  /** Machines: paths of the active states, outermost first, `running`, `running.intake`, `running.intake.open`. */
  readonly active?: readonly string[]
  readonly tags?: readonly string[]
  /** Event types it would answer now, machines only, at most 50; patterns like `xstate.done.actor.*` included. */
  readonly next?: readonly string[]
  readonly error?: Tagged
}

/** Stately's three messages, with `seq`, `at` and `defId`, and three of our own. */
export type Message = ActorMessage | EventMessage | SnapshotMessage | TransitionMessage | ErrorMessage | GapMessage

interface Numbered {
  readonly seq: number
  /** Epoch ms. */
  readonly at: number
  readonly sessionId: string
}

/** An actor was born. Always sent, whatever is watched. */
export interface ActorMessage extends Numbered {
  readonly type: '@xstate.actor'
  readonly actor: ActorView
}

/** `sourceId` sent `event` to `sessionId`; without a source it came from outside the system. */
export interface EventMessage extends Numbered {
  readonly type: '@xstate.event'
  readonly sourceId?: string
  readonly event: EventView
  /** It tells of a failure: `xstate.error.*`, one that carries an error, or what the controller says is one. */
  readonly failed?: true
}

/** What became of the actor by `event`; the last one of each actor and batch only,
 * and never left out for good.
 * Machines have `value` and `context`. */
export interface SnapshotMessage extends Numbered {
  readonly type: '@xstate.snapshot'
  readonly event: { readonly type: string }
  readonly snapshot: SnapshotView
  readonly failed?: true
}

/** Which transition of a machine fired. Self-made from `@xstate.microstep`; absent where XState does not tell. */
export interface TransitionMessage extends Numbered {
  readonly type: 'transition'
  readonly defId: string
  /** `TransitionDefinition.id`; absent for a transition that is not in the definition. */
  readonly edge?: string
  /** Path of the state it left from; the root is ''. */
  readonly source: string
  readonly event: string
  readonly targets: readonly string[]
  readonly guard?: string
  /** The actions of the transition itself, as it was written. */
  readonly actions: readonly string[]
  /** What ran in this step, entry and exit actions included, at most 20. */
  readonly ran?: readonly string[]
}

/** An actor ended in an error. Never sampled out; sent at once. */
export interface ErrorMessage extends Numbered {
  readonly type: 'error'
  readonly error: Tagged
  readonly failed: true
}

/** Nobody looked between `since` and `at`: nothing is known of that time. */
export interface GapMessage extends Numbered {
  readonly type: 'gap'
  readonly since: number
}

export interface EventView {
  readonly type: string
  readonly [key: string]: Json
}

export interface SnapshotView {
  readonly status: ActorState['status']
  readonly value?: Json
  readonly context?: Json
  readonly output?: Json
  readonly error?: Json
  readonly tags?: readonly string[]
}

/**
 * Values as JSON. What JSON cannot say, or what was left out, is a `Tagged` object: one with the key `$`. An object that
 * has a key `$` of its own comes as `{ $: 'object', value }`, where `value` is to be taken literally one level deep.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/**
 * ```
 * { $: 'error', name, message, code?, stack?, cause?, … own fields }
 * { $: 'undefined' }   { $: 'bigint', value: '12' }   { $: 'number', value: 'NaN' }   { $: 'symbol', value }
 * { $: 'date', value: ISO }   { $: 'regexp', value }   { $: 'function', name }   { $: 'instance', name, value: {…} }
 * { $: 'map', size, value: [[key, value], …] }   { $: 'set', size, value: […] }   { $: 'bytes', size, of: 'Uint8Array' }
 * { $: 'actor', sessionId, id }                 a reference to an actor
 * { $: 'circular', path: 'context.parent' }     seen above, on this very way down
 * { $: 'threw', message }                       a getter, a proxy or a toJSON threw
 * { $: 'redacted' }                             a secret by its name, its path or its schema
 * { $: 'truncated', by: 'depth' | 'keys' | 'length' | 'size', more, value? }   `value` is what there was room for
 * { $: 'object', value: {…} }                   a plain object with a key `$`
 * ```
 */
export interface Tagged {
  readonly $: string
  readonly [key: string]: Json
}
