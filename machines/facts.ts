import type { SourceCounts } from './counts.ts'
import type { Credit } from './driver.ts'
import type { ControllerError } from './errors.ts'
import { type EventKind, type SourceKind, sourceKindOf } from './event.ts'
import type { SourceState } from './protocol.ts'

/** What the controller keeps of each source: pure changes of its facts, one for each thing that may happen. */
export interface SourceSpec {
  readonly name: string
  readonly kind: EventKind
  readonly credit: Credit
}

/** What the controller knows of a source. What it counts is its own, until it closes. */
export interface SourceFacts {
  readonly kind: SourceKind
  readonly state: SourceState
  /** As it is now; an operator may change it. */
  readonly credit: Credit
  readonly answered: boolean
  readonly closed: boolean
  /** As they were when it closed; none before, and none of one that died. */
  readonly counts: SourceCounts | undefined
  readonly reconnects: number
  readonly error: { readonly code: string; readonly message: string } | undefined
}

/** The facts of all sources, by name. */
export interface KnownSources {
  readonly sources: Readonly<Record<string, SourceFacts>>
}

export const factsOf = (spec: SourceSpec): SourceFacts => ({
  kind: sourceKindOf[spec.kind],
  state: 'connecting',
  credit: spec.credit,
  answered: false,
  closed: false,
  counts: undefined,
  reconnects: 0,
  error: undefined,
})

const answering: ReadonlySet<SourceState> = new Set(['waiting', 'listening', 'paused', 'backingOff', 'closed'])

export const withFacts = (
  context: KnownSources,
  name: string,
  change: (facts: SourceFacts) => Partial<SourceFacts>,
): KnownSources => {
  const facts = context.sources[name]
  return facts === undefined
    ? { sources: context.sources }
    : { sources: { ...context.sources, [name]: { ...facts, ...change(facts) } } }
}

export const movedTo = (
  facts: SourceFacts,
  state: SourceState,
  error: ControllerError | undefined,
): Partial<SourceFacts> => ({
  state,
  answered: facts.answered || answering.has(state),
  reconnects: facts.reconnects + (state === 'backingOff' ? 1 : 0),
  error:
    state === 'backingOff'
      ? error && { code: error.code, message: error.message }
      : state === 'waiting' || state === 'listening'
        ? undefined
        : facts.error,
})

export const isOpen = (context: KnownSources, name: string): boolean => context.sources[name]?.closed === false
