import type { Credit } from './driver.ts'
import type { ControllerError } from './errors.ts'
import { type EventKind, type SourceKind, sourceKindOf } from './event.ts'
import type { JobsSettled, Result, SourceState } from './protocol.ts'

/** What the controller keeps of each source: pure changes of its facts, one for each thing that may happen. */
export interface SourceSpec {
  readonly name: string
  readonly kind: EventKind
  readonly credit: Credit
}

/** What the controller knows of a source. `accepted = settled + inFlight`, at all times. */
export interface SourceFacts {
  readonly kind: SourceKind
  readonly state: SourceState
  /** As it is now; an operator may change it. */
  readonly credit: Credit
  readonly answered: boolean
  readonly closed: boolean
  readonly accepted: number
  readonly settled: number
  readonly inFlight: number
  readonly results: Readonly<Record<Result, number>>
  readonly reconnects: number
  readonly error: { readonly code: string; readonly message: string } | undefined
}

/** The facts of all sources, by name. */
export interface KnownSources {
  readonly sources: Readonly<Record<string, SourceFacts>>
}

const noResults: SourceFacts['results'] = {
  done: 0,
  ignored: 0,
  duplicate: 0,
  retried: 0,
  parked: 0,
  moved: 0,
  released: 0,
}

export const factsOf = (spec: SourceSpec): SourceFacts => ({
  kind: sourceKindOf[spec.kind],
  state: 'connecting',
  credit: spec.credit,
  answered: false,
  closed: false,
  accepted: 0,
  settled: 0,
  inFlight: 0,
  results: noResults,
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

/** What happens with every event, so it is spelled out. */
export const arrivedIn = ({ sources }: KnownSources, name: string): KnownSources => {
  const facts = sources[name]
  if (facts === undefined) return { sources }
  const counted = { ...facts, accepted: facts.accepted + 1, inFlight: facts.inFlight + 1 }
  return { sources: { ...sources, [name]: counted } }
}

const addResults = (
  results: SourceFacts['results'],
  more: Readonly<Partial<Record<Result, number>>>,
): SourceFacts['results'] => {
  const sum = { ...results }
  for (const result in more) sum[result as Result] += more[result as Result] ?? 0
  return sum
}

export const settledIn = (context: KnownSources, event: JobsSettled): KnownSources => {
  const sources = { ...context.sources }
  for (const batch of event.batches) {
    const facts = sources[batch.source]
    if (facts === undefined) continue
    const n = batch.settlements.length
    sources[batch.source] = {
      ...facts,
      settled: facts.settled + n,
      inFlight: facts.inFlight - n,
      results: addResults(facts.results, batch.results),
    }
  }
  return { sources }
}

export const isOpen = (context: KnownSources, name: string): boolean => context.sources[name]?.closed === false
