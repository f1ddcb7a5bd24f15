import { assign, type CallbackActorLogic, sendParent, sendTo, setup } from 'xstate'
import { nothingCounted, type SourceCounts, withBrought, withSettled } from './counts.ts'
import type { Credit } from './driver.ts'
import type { ControllerError } from './errors.ts'
import type { EventKind } from './event.ts'
import { type BackoffPolicy, nextBackoffMs } from './policies.ts'
import type { EventArrived, LinkCommand, LinkFact, SourceCommand, SourceMoved, SourceState } from './protocol.ts'
import { sendEach, type Telling } from './sending.ts'

/**
 * The life of a source, drawn once for all drivers.
 *
 * ```
 *              ┌──────────── connected ───────────┐
 *  connecting ─┤                                  ▾
 *     ▴  │     └▸ waiting ──source.listen──▸ listening ⇄ throttled ⇄ stalled
 *     │  │failed                              ⇅ pause, resume
 *     │  ▾                                   paused
 *  backingOff ◂────────── link.lost ──────────┘
 *
 *  any of these ──source.drain──▸ draining (cancelling ▸ settling) ──▸ disconnecting ──▸ closed
 * ```
 *
 * - `connecting`: the link was told to connect. Left by its answer, or by `connectTimeout`.
 * - `waiting`: connected, but the controller has not said `source.listen` yet: what arrived now could not be handled.
 * - `listening`: events flow. Entered from `waiting`, from `connecting` on every later connection, and when credit is back.
 * - `throttled`: the credit is used up; the driver brings nothing more until something is settled. Left at half credit,
 *   which a `source.setCredit` may raise.
 * - `stalled`: throttled, and nothing was settled for `stallAfter`. Not ready: somebody should look.
 * - `paused`: an operator stopped the intake; the connection and what is in flight live on. Survives a reconnect.
 * - `backingOff`: not connected; the next try comes after an exponential delay with full jitter.
 * - `draining.cancelling`: intake is being ended, acks are still possible. Left when the link says so, is lost, or late.
 * - `draining.settling`: waits until nothing is in flight. An `source.abort` cuts it short.
 * - `disconnecting`: the link flushes and closes. Left by its answer, or by `disconnectTimeout`.
 * - `closed`: final; the output says what stayed unsettled.
 *
 * The controller sends `source.*`, the link (see `src/runtime/link.ts`) sends `link.*`; each event gets an answer in
 * each state, an empty one where it says nothing new.
 */
export interface SourceInput {
  readonly name: string
  readonly kind: EventKind
  readonly credit: Credit
  readonly policy?: Partial<SourcePolicy>
}

export interface SourcePolicy {
  readonly backoff: BackoffPolicy
  readonly connectTimeoutMs: number
  readonly stallAfterMs: number
  readonly cancelTimeoutMs: number
  readonly disconnectTimeoutMs: number
}

export const defaultSourcePolicy: SourcePolicy = {
  // Short enough that a service which comes back after a long time is found within 2 s.
  backoff: { minMs: 250, maxMs: 1_500 },
  connectTimeoutMs: 15_000,
  stallAfterMs: 60_000,
  cancelTimeoutMs: 5_000,
  disconnectTimeoutMs: 5_000,
}

export interface LinkInput {
  readonly name: string
  readonly credit: Credit
}

export interface SourceOutput {
  readonly name: string
  readonly counts: SourceCounts
}

export interface SourceContext {
  readonly name: string
  readonly kind: EventKind
  readonly credit: Credit
  readonly policy: SourcePolicy
  readonly counts: SourceCounts
  readonly bytesInFlight: number
  /** Failed connects since the last good one. */
  readonly failures: number
  readonly jitter: number
  readonly started: boolean
  readonly paused: boolean
  readonly error: ControllerError | undefined
}

type SourceEvent = SourceCommand | LinkFact

const wire = setup({
  types: {
    context: {} as SourceContext,
    events: {} as SourceEvent,
    input: {} as SourceInput,
    output: {} as SourceOutput,
    tags: {} as 'ready' | 'connected',
  },
  actors: {
    link: {} as CallbackActorLogic<LinkCommand, LinkInput>,
  },
  guards: {
    notStarted: ({ context }) => !context.started,
    paused: ({ context }) => context.paused,
    creditUsedUp: ({ context }) => context.counts.inFlight >= context.credit.events || bytesUsedUp(context),
    creditBack: ({ context }) =>
      context.counts.inFlight <= context.credit.events / 2 && context.bytesInFlight <= context.credit.bytes / 2,
    nothingInFlight: ({ context }) => context.counts.inFlight === 0,
  },
  delays: {
    backoff: ({ context }) => nextBackoffMs(context.policy.backoff, context.failures, context.jitter),
    connectTimeout: ({ context }) => context.policy.connectTimeoutMs,
    stallAfter: ({ context }) => context.policy.stallAfterMs,
    cancelTimeout: ({ context }) => context.policy.cancelTimeoutMs,
    disconnectTimeout: ({ context }) => context.policy.disconnectTimeoutMs,
  },
  actions: {
    tellLink: sendTo('link', (_, command: LinkCommand) => command),
    tellController: sendEach(({ context, event, parent }: Telling<SourceContext, SourceEvent>, send) => {
      if (event.type !== 'link.delivered') return
      for (const delivery of event.deliveries) {
        const arrived: EventArrived = { type: delivery.event.kind, source: context.name, delivery }
        send(parent, arrived)
      }
    }),
    passSettlements: sendEach(({ event, children }: Telling<SourceContext, SourceEvent>, send) => {
      if (event.type !== 'source.settle') return
      const command: LinkCommand = { type: 'link.settle', settlements: event.settlements }
      send(children['link'], command)
    }),
    pauseAboveByteLimit: sendEach(({ context, children }: Telling<SourceContext, SourceEvent>, send) => {
      const command: LinkCommand = { type: 'link.pause' }
      if (bytesUsedUp(context)) send(children['link'], command)
    }),
    noteSettled: assign(({ context, event }) =>
      event.type === 'source.settle'
        ? {
            counts: withSettled(context.counts, event.settlements.length, event.results),
            bytesInFlight: context.bytesInFlight - event.bytes,
          }
        : {},
    ),
    noteBrought: assign(({ context, event }) =>
      event.type === 'link.delivered'
        ? {
            counts: withBrought(context.counts, event.deliveries.length),
            bytesInFlight: event.deliveries.reduce((sum, { bytes }) => sum + bytes, context.bytesInFlight),
          }
        : {},
    ),
    report: sendParent(({ context }, { state }: { state: SourceState }): SourceMoved => {
      const error = state === 'backingOff' ? context.error : undefined
      return { type: 'source.moved', source: context.name, state, ...(error === undefined ? {} : { error }) }
    }),
    noteStarted: assign({ started: true }),
    notePaused: assign({ paused: true }),
    noteResumed: assign({ paused: false }),
    noteCredit: assign(({ event }) => (event.type === 'source.setCredit' ? { credit: event.credit } : {})),
    passCredit: sendTo('link', ({ context }): LinkCommand => ({ type: 'link.setCredit', credit: context.credit })),
    noteConnected: assign({ failures: 0, error: undefined }),
    noteFailure: assign(({ context, event }) =>
      event.type === 'link.failed' || event.type === 'link.lost'
        ? { failures: context.failures + 1, jitter: event.jitter, error: event.error }
        : { failures: context.failures + 1 },
    ),
  },
})

const bytesUsedUp = (context: SourceContext): boolean => context.bytesInFlight >= context.credit.bytes

const tellLink = <Type extends Exclude<LinkCommand['type'], 'link.settle' | 'link.setCredit'>>(type: Type) =>
  ({ type: 'tellLink', params: { type } }) as const

const brought = { actions: ['tellController', 'noteBrought'] } as const
const settle = ['passSettlements', 'noteSettled'] as const

const report = (state: SourceState) => ({ type: 'report', params: { state } }) as const

export const sourceMachine = wire.createMachine({
  id: 'source',
  context: ({ input }) => ({
    name: input.name,
    kind: input.kind,
    credit: input.credit,
    policy: { ...defaultSourcePolicy, ...input.policy },
    counts: nothingCounted,
    bytesInFlight: 0,
    failures: 0,
    jitter: 0.5,
    started: false,
    paused: false,
    error: undefined,
  }),
  invoke: { id: 'link', src: 'link', input: ({ context }) => ({ name: context.name, credit: context.credit }) },
  initial: 'connecting',
  output: ({ context }) => ({ name: context.name, counts: context.counts }),
  on: {
    'link.connected': {},
    'link.failed': {},
    'link.delivered': {},
    'link.lost': {},
    'link.cancelled': {},
    'link.disconnected': {},
    'source.listen': { actions: 'noteStarted' },
    'source.settle': { actions: settle },
    'source.pause': { actions: 'notePaused' },
    'source.resume': { actions: 'noteResumed' },
    'source.setCredit': { actions: ['noteCredit', 'passCredit'] },
    'source.drain': { target: '.draining' },
    'source.abort': { target: '.disconnecting' },
  },
  states: {
    connecting: {
      entry: [report('connecting'), tellLink('link.connect')],
      on: {
        'link.connected': [
          { guard: 'notStarted', target: 'waiting', actions: 'noteConnected' },
          { guard: 'paused', target: 'paused', actions: ['noteConnected', tellLink('link.consume')] },
          { target: 'listening', actions: ['noteConnected', tellLink('link.consume')] },
        ],
        'link.failed': { target: 'backingOff', actions: 'noteFailure' },
        'link.lost': { target: 'backingOff', actions: 'noteFailure' },
        'source.drain': { target: 'draining' },
      },
      after: { connectTimeout: { target: 'backingOff', actions: ['noteFailure', tellLink('link.disconnect')] } },
    },
    waiting: {
      tags: ['connected', 'ready'],
      entry: report('waiting'),
      on: {
        'source.listen': [
          { guard: 'paused', target: 'paused', actions: ['noteStarted', tellLink('link.consume')] },
          { target: 'listening', actions: ['noteStarted', tellLink('link.consume')] },
        ],
        'link.lost': { target: 'backingOff', actions: 'noteFailure' },
      },
    },
    listening: {
      tags: ['connected', 'ready'],
      entry: report('listening'),
      always: { guard: 'creditUsedUp', target: 'throttled' },
      on: {
        'link.delivered': brought,
        'link.lost': { target: 'backingOff', actions: 'noteFailure' },
        'source.pause': { target: 'paused', actions: 'notePaused' },
      },
    },
    throttled: {
      tags: ['connected', 'ready'],
      entry: [report('throttled'), 'pauseAboveByteLimit'],
      always: { guard: 'creditBack', target: 'listening', actions: tellLink('link.resume') },
      on: {
        'link.delivered': brought,
        'link.lost': { target: 'backingOff', actions: 'noteFailure' },
        'source.settle': { target: '.counting', actions: settle },
        'source.pause': { target: 'paused', actions: 'notePaused' },
      },
      initial: 'counting',
      states: { counting: { after: { stallAfter: '#source.stalled' } } },
    },
    stalled: {
      tags: 'connected',
      entry: report('stalled'),
      on: {
        'link.delivered': brought,
        'link.lost': { target: 'backingOff', actions: 'noteFailure' },
        'source.settle': { target: 'throttled', actions: settle },
        'source.setCredit': { target: 'throttled', actions: ['noteCredit', 'passCredit'] },
        'source.pause': { target: 'paused', actions: 'notePaused' },
      },
    },
    paused: {
      tags: ['connected', 'ready'],
      entry: [report('paused'), tellLink('link.pause')],
      on: {
        'link.delivered': brought,
        'link.lost': { target: 'backingOff', actions: 'noteFailure' },
        'source.resume': { target: 'listening', actions: ['noteResumed', tellLink('link.resume')] },
      },
    },
    backingOff: {
      entry: report('backingOff'),
      after: { backoff: 'connecting' },
    },
    draining: {
      entry: report('draining'),
      initial: 'cancelling',
      on: {
        'link.delivered': brought,
        'source.drain': {},
      },
      states: {
        cancelling: {
          entry: tellLink('link.cancel'),
          on: { 'link.cancelled': 'settling', 'link.lost': 'settling', 'link.failed': 'settling' },
          after: { cancelTimeout: 'settling' },
        },
        settling: {
          always: { guard: 'nothingInFlight', target: '#source.disconnecting' },
        },
      },
    },
    disconnecting: {
      entry: [report('disconnecting'), tellLink('link.disconnect')],
      on: {
        'link.disconnected': 'closed',
        'source.drain': {},
        'source.abort': {},
      },
      after: { disconnectTimeout: 'closed' },
    },
    closed: { type: 'final', entry: report('closed') },
  },
})
