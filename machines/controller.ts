import { assign, type CallbackActorLogic, sendTo, setup } from 'xstate'
import type { Credit } from './driver.ts'
import type { ControllerError } from './errors.ts'
import { type EventKind, type SourceKind, sourceKindOf } from './event.ts'
import type {
  ControllerCommand,
  EventArrived,
  JobsCommand,
  JobsSettled,
  JournalCommand,
  JournalFact,
  Result,
  SourceCommand,
  SourceMoved,
  SourceState,
} from './protocol.ts'
import type { sourceMachine } from './source.ts'

/**
 * The root of the process. Its mailbox is the control channel: everything passes it, one event at a time.
 *
 * ```
 *            all answered              controller.drain                       all closed, journal closed
 *   boot ────────────────────▸ running ────────────────▸ draining ────────────────────────────────────▸ stopped
 *     └────────────────────── controller.drain ─────────────▴
 *
 *   draining:   lingering ──preStop──▸ finishing ──▸ closing ──▸ (stopped)
 *                                          │            ▴
 *                                    drainTimeout       │
 *                                          └▸ aborting ─┘
 * ```
 *
 * - `boot`: spawns the journal, the jobs and one child for each source. Over when each of them has answered, with up or
 *   with backing off: one broken source does not hold up the others. Sources wait with their intake for `source.listen`.
 * - `running`: `queue.event`, `database.trigger` and `webhook.event` are counted and handed to the jobs.
 * - `draining.lingering`: not ready any more, but still taking events, until load balancers have noticed.
 * - `draining.finishing`: sources and jobs were told to drain; what still arrives is released. Each source reports
 *   `xstate.done.actor.source:<name>` when nothing of it is in flight.
 * - `draining.aborting`: the time is up; running handlers are cancelled and their events given back.
 * - `draining.closing`: every source is closed; the journal gives its leases back and closes.
 * - `stopped`: final. The output says whether everything was settled, and why the controller stopped.
 *
 * Children: `source:<name>` (see `source.ts`), `jobs` and `journal` (see `src/runtime`). They live through `running` and
 * `draining`, because they are spawned, not invoked. The root runs no user code: its actions count, send and spawn.
 */
export interface ControllerInput {
  readonly sources: readonly SourceSpec[]
  readonly policy: ControllerPolicy
}

export interface SourceSpec {
  readonly name: string
  readonly kind: EventKind
  readonly credit: Credit
}

export interface ControllerPolicy {
  readonly preStopMs: number
  /** From the drain command to the abort, pre-stop included. */
  readonly drainMs: number
  /** From the abort to the moment when handlers that still run are given up. */
  readonly abortMs: number
  /** For closing the journal. */
  readonly closeMs: number
}

export interface ControllerOutput {
  readonly clean: boolean
  readonly reason: string
  readonly report: Readonly<Record<string, SourceFacts>>
}

/** What the controller knows of a source. `accepted = settled + inFlight`, at all times. */
export interface SourceFacts {
  readonly kind: SourceKind
  readonly state: SourceState
  readonly answered: boolean
  readonly closed: boolean
  readonly accepted: number
  readonly settled: number
  readonly inFlight: number
  readonly results: Readonly<Record<Result, number>>
  readonly reconnects: number
  readonly error: { readonly code: string; readonly message: string } | undefined
}

export interface ControllerContext {
  readonly specs: readonly SourceSpec[]
  readonly policy: ControllerPolicy
  readonly sources: Readonly<Record<string, SourceFacts>>
  readonly journal: 'opening' | 'up' | 'down' | 'closed'
  readonly reason: string
  readonly aborted: boolean
}

export type ControllerEvent =
  | EventArrived
  | SourceMoved
  | JobsSettled
  | JournalFact
  | ControllerCommand
  | { readonly type: 'xstate.done.actor.*'; readonly actorId: string; readonly output: unknown }
  | { readonly type: 'xstate.error.actor.*'; readonly actorId: string; readonly error: unknown }

export const sourceActorId = (name: string): string => `source:${name}`

const noResults: SourceFacts['results'] = {
  done: 0,
  ignored: 0,
  duplicate: 0,
  retried: 0,
  parked: 0,
  moved: 0,
  released: 0,
}

const factsOf = (spec: SourceSpec): SourceFacts => ({
  kind: sourceKindOf[spec.kind],
  state: 'connecting',
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

const withFacts = (
  context: ControllerContext,
  name: string,
  change: (facts: SourceFacts) => Partial<SourceFacts>,
): Pick<ControllerContext, 'sources'> => {
  const facts = context.sources[name]
  return facts === undefined
    ? { sources: context.sources }
    : { sources: { ...context.sources, [name]: { ...facts, ...change(facts) } } }
}

const movedTo = (facts: SourceFacts, state: SourceState, error: ControllerError | undefined): Partial<SourceFacts> => ({
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

const addResults = (
  results: SourceFacts['results'],
  more: Readonly<Partial<Record<Result, number>>>,
): SourceFacts['results'] => {
  const sum = { ...results }
  for (const result in more) sum[result as Result] += more[result as Result] ?? 0
  return sum
}

const settledIn = (context: ControllerContext, event: JobsSettled): Pick<ControllerContext, 'sources'> => {
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

const isOpen = (context: ControllerContext, name: string): boolean => context.sources[name]?.closed === false

const wire = setup({
  types: {
    context: {} as ControllerContext,
    events: {} as ControllerEvent,
    input: {} as ControllerInput,
    output: {} as ControllerOutput,
    tags: {} as 'started' | 'ready' | 'live',
    emitted: {} as SourceMoved | JournalFact,
  },
  actors: {
    source: {} as typeof sourceMachine,
    jobs: {} as CallbackActorLogic<JobsCommand>,
    journal: {} as CallbackActorLogic<JournalCommand>,
  },
  guards: {
    allAnswered: ({ context }) =>
      context.journal !== 'opening' && Object.values(context.sources).every((facts) => facts.answered),
    ofSource: ({ event }) => 'actorId' in event && event.actorId.startsWith(sourceActorId('')),
    allClosed: ({ context }) => Object.values(context.sources).every((facts) => facts.closed),
  },
  delays: {
    preStop: ({ context }) => context.policy.preStopMs,
    drainTimeout: ({ context }) => Math.max(0, context.policy.drainMs - context.policy.preStopMs),
    abortTimeout: ({ context }) => context.policy.abortMs,
    closeTimeout: ({ context }) => context.policy.closeMs,
  },
  actions: {
    noteJournal: assign(({ event }) => ({
      journal: event.type === 'journal.up' ? 'up' : event.type === 'journal.closed' ? 'closed' : 'down',
    })),
    noteReason: assign(({ event }) =>
      event.type === 'controller.drain' || event.type === 'controller.abort' ? { reason: event.reason } : {},
    ),
    noteAborted: assign({ aborted: true }),
    tellJobs: sendTo('jobs', (_, command: JobsCommand) => command),
    tellJournal: sendTo('journal', (_, command: JournalCommand) => command),
    tellSource: sendTo(
      (_, { source }: { source: string; command: SourceCommand }) => sourceActorId(source),
      (_, { command }) => command,
    ),
  },
})

/** Counts an arrived event and passes it to the jobs. */
const taking = (type: 'jobs.admit' | 'jobs.release') =>
  wire.enqueueActions(({ context, event, enqueue }) => {
    if (!('delivery' in event)) return
    const { source, delivery } = event
    enqueue.assign(
      withFacts(context, source, ({ accepted, inFlight }) => ({ accepted: accepted + 1, inFlight: inFlight + 1 })),
    )
    enqueue({ type: 'tellJobs', params: { type, source, delivery } })
  })

const tellingSources = (type: 'source.listen' | 'source.drain' | 'source.abort') =>
  wire.enqueueActions(({ context, enqueue }) => {
    for (const { name } of context.specs) {
      if (isOpen(context, name)) enqueue({ type: 'tellSource', params: { source: name, command: { type } } })
    }
  })

const controllerSetup = wire.extend({
  actions: {
    spawnChildren: wire.enqueueActions(({ context, enqueue }) => {
      enqueue.spawnChild('journal', { id: 'journal' })
      enqueue.spawnChild('jobs', { id: 'jobs' })
      for (const { name, kind, credit } of context.specs) {
        enqueue.spawnChild('source', { id: sourceActorId(name), input: { name, kind, credit } })
      }
    }),
    noteMoved: wire.enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'source.moved') return
      enqueue.assign(withFacts(context, event.source, (facts) => movedTo(facts, event.state, event.error)))
      enqueue.emit(event)
    }),
    noteClosed: wire.enqueueActions(({ context, event, enqueue }) => {
      if (!('actorId' in event)) return
      const name = event.actorId.slice(sourceActorId('').length)
      enqueue.assign(withFacts(context, name, () => ({ state: 'closed', answered: true, closed: true })))
      enqueue.stopChild(event.actorId)
    }),
    admit: taking('jobs.admit'),
    giveBack: taking('jobs.release'),
    settle: wire.enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'jobs.settled') return
      enqueue.assign(settledIn(context, event))
      for (const { source, settlements, bytes } of event.batches) {
        if (!isOpen(context, source)) continue
        enqueue({ type: 'tellSource', params: { source, command: { type: 'source.settle', settlements, bytes } } })
      }
    }),
    listen: tellingSources('source.listen'),
    drainSources: tellingSources('source.drain'),
    abortSources: tellingSources('source.abort'),
    pass: wire.enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'controller.pause' && event.type !== 'controller.resume') return
      if (!isOpen(context, event.source)) return
      const command = event.type === 'controller.pause' ? 'source.pause' : 'source.resume'
      enqueue({ type: 'tellSource', params: { source: event.source, command: { type: command } } })
    }),
    stopJobs: wire.enqueueActions(({ enqueue }) => {
      enqueue.stopChild('jobs')
    }),
  },
})

const tellJobs = (type: 'jobs.drain' | 'jobs.abort') => ({ type: 'tellJobs', params: { type } }) as const

const arrivals = (action: 'admit' | 'giveBack') =>
  ({
    'queue.event': { actions: action },
    'database.trigger': { actions: action },
    'webhook.event': { actions: action },
  }) as const

export const controllerMachine = controllerSetup.createMachine({
  id: 'controller',
  context: ({ input }) => ({
    specs: input.sources,
    policy: input.policy,
    sources: Object.fromEntries(input.sources.map((spec) => [spec.name, factsOf(spec)])),
    journal: 'opening',
    reason: '',
    aborted: false,
  }),
  output: ({ context }) => {
    const left = Object.values(context.sources).some((facts) => facts.inFlight > 0)
    return { clean: !(context.aborted || left), reason: context.reason, report: context.sources }
  },
  on: {
    'source.moved': { actions: 'noteMoved' },
    'jobs.settled': { actions: 'settle' },
    'journal.up': { actions: 'noteJournal' },
    'journal.down': { actions: 'noteJournal' },
    'journal.closed': { actions: 'noteJournal' },
    'controller.pause': { actions: 'pass' },
    'controller.resume': { actions: 'pass' },
    'xstate.done.actor.*': { actions: 'noteClosed' },
    'xstate.error.actor.*': [{ guard: 'ofSource', actions: 'noteClosed' }, { target: '.draining.aborting' }],
  },
  initial: 'boot',
  states: {
    boot: {
      tags: 'live',
      entry: 'spawnChildren',
      always: { guard: 'allAnswered', target: 'running' },
      on: {
        ...arrivals('giveBack'),
        'controller.drain': { target: 'draining', actions: 'noteReason' },
        'controller.abort': { target: 'draining.aborting', actions: 'noteReason' },
      },
    },
    running: {
      tags: ['live', 'started', 'ready'],
      entry: 'listen',
      on: {
        ...arrivals('admit'),
        'controller.drain': { target: 'draining', actions: 'noteReason' },
        'controller.abort': { target: 'draining.aborting', actions: 'noteReason' },
      },
    },
    draining: {
      tags: ['live', 'started'],
      initial: 'lingering',
      on: {
        ...arrivals('giveBack'),
        'controller.drain': {},
        'controller.abort': { target: '.aborting' },
        'controller.pause': {},
        'controller.resume': {},
      },
      states: {
        lingering: {
          on: arrivals('admit'),
          after: { preStop: 'finishing' },
        },
        finishing: {
          entry: [tellJobs('jobs.drain'), 'drainSources'],
          always: { guard: 'allClosed', target: 'closing' },
          after: { drainTimeout: 'aborting' },
        },
        aborting: {
          entry: ['noteAborted', tellJobs('jobs.drain'), 'drainSources', tellJobs('jobs.abort')],
          always: { guard: 'allClosed', target: 'closing' },
          on: { 'controller.abort': {} },
          after: { abortTimeout: { target: 'closing', actions: 'abortSources' } },
        },
        closing: {
          entry: ['stopJobs', { type: 'tellJournal', params: { type: 'journal.close' } }],
          on: {
            'queue.event': {},
            'database.trigger': {},
            'webhook.event': {},
            'jobs.settled': {},
            'journal.closed': { target: '#controller.stopped', actions: 'noteJournal' },
            'controller.abort': {},
            'xstate.error.actor.*': [
              { guard: 'ofSource', actions: 'noteClosed' },
              { target: '#controller.stopped', actions: 'noteAborted' },
            ],
          },
          after: { closeTimeout: '#controller.stopped' },
        },
      },
    },
    stopped: { type: 'final' },
  },
})
