import { assign, type CallbackActorLogic, sendTo, setup } from 'xstate'
import { decide, type Phase } from './commands.ts'
import { factsOf, isOpen, movedTo, type SourceFacts, type SourceSpec, withFacts } from './facts.ts'
import type {
  CommandAnswered,
  ControllerCommand,
  EventArrived,
  JobsCommand,
  JobsSettled,
  JournalCommand,
  JournalFact,
  OperatorCommand,
  OperatorFact,
  OperatorTask,
  SourceCommand,
  SourceMoved,
} from './protocol.ts'
import { sendEach, type Telling } from './sending.ts'
import type { SourceOutput, sourceMachine } from './source.ts'

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
 * - `running`: `queue.event`, `database.trigger` and `webhook.event` are handed to the jobs.
 * - `draining.lingering`: not ready any more, but still taking events, until load balancers have noticed.
 * - `draining.finishing`: sources and jobs were told to drain; what still arrives is released. Each source reports
 *   `xstate.done.actor.source:<name>` when nothing of it is in flight.
 * - `draining.aborting`: the time is up; running handlers are cancelled and their events given back.
 * - `draining.closing`: every source is closed; the journal gives its leases back and closes.
 * - `stopped`: final. The output says whether everything was settled, and why the controller stopped.
 *
 * Commands of an operator are decided in `commands.ts` and each gets one `controller.answered`, which is emitted. What is
 * about a source goes to it; what needs IO goes to the child `operator`. While draining no source is paused, resumed or
 * given credit any more; while closing everything is refused.
 *
 * Children: `source:<name>` (see `source.ts`), `jobs`, `journal` and `operator` (see `src/runtime`). They live through
 * `running` and `draining`, because they are spawned, not invoked. The root runs no user code: its actions note, send
 * and spawn. A source that has closed stays a child, so that its counts can still be read.
 */
export interface ControllerInput {
  readonly sources: readonly SourceSpec[]
  readonly policy: ControllerPolicy
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
  | OperatorFact
  | { readonly type: 'xstate.done.actor.*'; readonly actorId: string; readonly output: unknown }
  | { readonly type: 'xstate.error.actor.*'; readonly actorId: string; readonly error: unknown }

export const sourceActorId = (name: string): string => `source:${name}`

const wire = setup({
  types: {
    context: {} as ControllerContext,
    events: {} as ControllerEvent,
    input: {} as ControllerInput,
    output: {} as ControllerOutput,
    tags: {} as 'started' | 'ready' | 'live',
    emitted: {} as SourceMoved | JournalFact | CommandAnswered,
  },
  actors: {
    source: {} as typeof sourceMachine,
    jobs: {} as CallbackActorLogic<JobsCommand>,
    journal: {} as CallbackActorLogic<JournalCommand>,
    operator: {} as CallbackActorLogic<OperatorTask>,
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
    tellOperator: sendTo('operator', (_, task: OperatorTask) => task),
    settle: sendEach(({ context, event, children }: Telling<ControllerContext, ControllerEvent>, send) => {
      if (event.type !== 'jobs.settled') return
      for (const { source, ...settled } of event.batches) {
        const command: SourceCommand = { type: 'source.settle', ...settled }
        if (isOpen(context, source)) send(children[sourceActorId(source)], command)
      }
    }),
    tellSource: sendTo(
      (_, { source }: { source: string; command: SourceCommand }) => sourceActorId(source),
      (_, { command }) => command,
    ),
  },
})

const tellingSources = (type: 'source.listen' | 'source.drain' | 'source.abort') =>
  wire.enqueueActions(({ context, enqueue }) => {
    for (const { name } of context.specs) {
      if (isOpen(context, name)) enqueue({ type: 'tellSource', params: { source: name, command: { type } } })
    }
  })

/** Answers an operator's command, or passes it on to whoever does it. */
const deciding = (phase: Phase) =>
  wire.enqueueActions(({ context, event, enqueue }) => {
    if (!('asked' in event) || event.asked === undefined || event.type === 'operator.performed') return
    const { asked } = event
    const decision = decide(context, phase, event)
    if (decision.to === 'operator') {
      enqueue({ type: 'tellOperator', params: { type: 'operator.perform', asked } })
      return
    }
    enqueue.emit({ type: 'controller.answered', asked, result: decision.result })
    if (decision.to === 'nobody') return
    const { source, command } = decision
    if (command.type === 'source.setCredit')
      enqueue.assign(withFacts(context, source, () => ({ credit: command.credit })))
    enqueue({ type: 'tellSource', params: { source, command } })
  })

const controllerSetup = wire.extend({
  actions: {
    spawnChildren: wire.enqueueActions(({ context, enqueue }) => {
      enqueue.spawnChild('journal', { id: 'journal' })
      enqueue.spawnChild('jobs', { id: 'jobs' })
      enqueue.spawnChild('operator', { id: 'operator' })
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
      const counts = 'output' in event ? (event.output as SourceOutput).counts : undefined
      enqueue.assign(withFacts(context, name, () => ({ state: 'closed', answered: true, closed: true, counts })))
    }),
    listen: tellingSources('source.listen'),
    drainSources: tellingSources('source.drain'),
    abortSources: tellingSources('source.abort'),
    command: deciding('open'),
    commandWhileDraining: deciding('draining'),
    commandWhileClosing: deciding('closing'),
    passAnswer: wire.enqueueActions(({ event, enqueue }) => {
      if (event.type !== 'operator.performed') return
      enqueue.emit({ type: 'controller.answered', asked: event.asked, result: event.result })
    }),
    stopJobs: wire.enqueueActions(({ enqueue }) => {
      enqueue.stopChild('jobs')
    }),
  },
})

const tellJobs = (type: 'jobs.drain' | 'jobs.abort') => ({ type: 'tellJobs', params: { type } }) as const

const arrivals = (type: 'jobs.admit' | 'jobs.release') => {
  const taken = {
    actions: {
      type: 'tellJobs',
      params: ({ event: { source, delivery } }: { event: EventArrived }): JobsCommand => ({ type, source, delivery }),
    },
  } as const
  return { 'queue.event': taken, 'database.trigger': taken, 'webhook.event': taken }
}

const commands = (actions: 'command' | 'commandWhileDraining' | 'commandWhileClosing') =>
  ({
    'controller.pause': { actions },
    'controller.resume': { actions },
    'controller.setCredit': { actions },
    'controller.redrive': { actions },
    'controller.drop': { actions },
    'controller.edit': { actions },
    'controller.releaseWaiter': { actions },
    'controller.setLogLevel': { actions },
    'controller.rotateSecret': { actions },
  }) as const satisfies Record<OperatorCommand['type'], unknown>

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
    const settled = Object.values(context.sources).every(({ counts }) => counts?.inFlight === 0)
    return { clean: settled && !context.aborted, reason: context.reason, report: context.sources }
  },
  on: {
    'source.moved': { actions: 'noteMoved' },
    'jobs.settled': { actions: 'settle' },
    'journal.up': { actions: 'noteJournal' },
    'journal.down': { actions: 'noteJournal' },
    'journal.closed': { actions: 'noteJournal' },
    ...commands('command'),
    'operator.performed': { actions: 'passAnswer' },
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
        ...arrivals('jobs.release'),
        'controller.drain': { target: 'draining', actions: ['noteReason', 'command'] },
        'controller.abort': { target: 'draining.aborting', actions: 'noteReason' },
      },
    },
    running: {
      tags: ['live', 'started', 'ready'],
      entry: 'listen',
      on: {
        ...arrivals('jobs.admit'),
        'controller.drain': { target: 'draining', actions: ['noteReason', 'command'] },
        'controller.abort': { target: 'draining.aborting', actions: 'noteReason' },
      },
    },
    draining: {
      tags: ['live', 'started'],
      initial: 'lingering',
      on: {
        ...arrivals('jobs.release'),
        ...commands('commandWhileDraining'),
        'controller.drain': { actions: 'commandWhileDraining' },
        'controller.abort': { target: '.aborting' },
      },
      states: {
        lingering: {
          on: arrivals('jobs.admit'),
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
            ...commands('commandWhileClosing'),
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
