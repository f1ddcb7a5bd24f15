import type { ActorState, ActorView, Message } from './protocol/actors.ts'
import type { HostStatus } from './protocol/controller.ts'
import type { ParkedFilter } from './protocol/parked.ts'

/**
 * # The wire of the inspector
 *
 * What server and page say to each other: JSON text frames over `WS /inspector/ws`, and a few HTTP paths beside it. This
 * file and those in `protocol/` are types, prose and three constants; the page imports them as they are.
 *
 * ```
 * page                                         server
 *  │ POST /inspector/session {token} ──▸ 204, cookie (HttpOnly, SameSite=Strict, Path=/inspector)
 *  │ WS /inspector/ws ──────────────▸ hello       who you are, every actor, what happened last
 *  │ watch ─────────────────────────▸ batch …     each 100 ms, at once after a failure
 *  │                                  stats …     each second
 *  │ snapshot, send, control, … {id} ▸ ack {id}   every message with an id is answered exactly once
 * ```
 *
 * - **Nothing is watched until `watch`.** A hidden tab sends `watch` with everything off; when no viewer watches
 *   anything, nothing is attached to the actors.
 * - **Messages carry `seq`**, which rises by one with each thing seen in this run of the server. A viewer sees gaps where
 *   it did not watch, and where `batch.sampledOut` says so. `(run, seq)` names a message for ever: after a reconnect the
 *   page drops what it has already when `hello.run` is the same, and everything when it is not.
 * - **Unknown types and fields are ignored** on both sides: that is how the wire grows. Types that begin with `workflow`
 *   are kept for durable workflows.
 * - **Reconnect**: 0.25 s, doubling to 5 s, with a fresh `hello` each time. Close codes: 1001 the server ends, 1008 more
 *   than 200 frames in a second, 1009 a frame over 64 kB, 4001 the session has ended (ask for the token again),
 *   4008 the viewer read too slowly. The upgrade itself answers 401 (no or bad token), 403 (foreign `Origin`), 421
 *   (foreign `Host`) and 503 (eight viewers look already); a browser sees all of these as a failed connection, so the
 *   page asks `GET /inspector/session` for the reason.
 *
 * ## HTTP
 *
 * ```
 * GET    /inspector/                        the page; its files are open, they hold nothing
 * GET    /inspector/session                 200 Session, or 401; 200 also where no token is configured (loopback)
 * POST   /inspector/session                 {token} → 204 with the cookie, or 401
 * DELETE /inspector/session                 204; open sockets of the session are closed with 4001
 * POST   /inspector/ticket                  → Ticket: for a client that can send neither cookie nor header
 * GET    /inspector/definitions/HASH.json   MachineDefinition; immutable, cacheable for ever
 * GET    /inspector/flight                  Flight: the flight recorder as a file
 * WS     /inspector/ws                      this protocol
 * WS     /inspector/stately                 messages of @statelyai/inspect
 * WS     /inspector/classic                 messages of @xstate/inspect 0.8
 * ```
 *
 * The token comes to the page as `#token=…` (a fragment never leaves the browser) or by a form; the page posts it and
 * takes it out of the address with `history.replaceState`. Other clients send `Authorization: Bearer TOKEN`, or as a
 * WebSocket subprotocol `bearer.TOKEN` beside `koksmat.v1`, or `?ticket=` (good for one upgrade within 30 s).
 *
 * ## The files of the page
 *
 * `npm run build:ui` is `vite build inspector/ui`, with relative addresses (`base: './'`), into `dist/inspector/ui`:
 * `index.html`, which is never cached, and hashed files under `assets/`, which are cached for ever. They are served with
 * `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self';
 * worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`: no inline scripts, no `style`
 * attributes in markup (properties set by script are fine), no `eval`, no workers from blobs.
 */
export const protocolVersion = 1

/** The subprotocol the page may ask for; not asking is fine. */
export const subprotocol = 'koksmat.v1'

/** Frames a client sends are not larger; nor is one message within a batch. */
export const maxFrameBytes = 65_536

/** `read` sees everything, `operate` may also `send`, `control`, `redrive` and `drop`. Enforced by the server. */
export type Role = 'read' | 'operate'

export interface Session {
  readonly role: Role
  /** False where no token is configured: there is nothing to sign out of. */
  readonly token: boolean
}

export interface Ticket {
  readonly ticket: string
  readonly expiresInMs: number
}

// server → page

export type ServerMessage = Hello | Batch | Stats | Ack

/** The first message, and again whenever `watch.states` is switched on: the whole truth at its moment. */
export interface Hello {
  readonly type: 'hello'
  readonly v: typeof protocolVersion
  /** Made up when the server starts. */
  readonly run: string
  /** Epoch ms of the server: the page shows ages by the server's clock. */
  readonly now: number
  readonly pid: number
  readonly node: string
  readonly role: Role
  /** The highest `seq` so far. */
  readonly seq: number
  /** The live actors, parents first, at most 2,000, and up to 200 that have ended while somebody looked. */
  readonly actors: readonly ActorView[]
  /** Live actors beyond those. */
  readonly actorsLeftOut: number
  /** Hashes of the definitions behind `actors`; fetch each once. */
  readonly defs: readonly string[]
  /** The newest messages, oldest first: what was seen while somebody looked, at most 2,000. */
  readonly recent: readonly Message[]
  /** Earlier `stats`, oldest first, as far as they were taken. */
  readonly history: readonly Stats[]
  /** Commands that `control` takes here, by name; empty for an actor without a controller around it. */
  readonly commands: readonly ControlCommand['name'][]
  /** What was there when the socket opened; absent without a controller. */
  readonly status?: HostStatus
}

/** Each 100 ms when there is something, at once after a failure. */
export interface Batch {
  readonly type: 'batch'
  /** Epoch ms. */
  readonly t: number
  /** The highest `seq` seen by the server, watched or not. */
  readonly seq: number
  readonly msgs: readonly Message[]
  /** Messages this viewer watches and did not get: more than 400 within a batch, or 512 kB. Failures are among them
   * only beyond 4,000 within a batch. */
  readonly sampledOut: number
  /** The last state of each actor that moved since the batch before, by session id; see `Watch.states`. */
  readonly states: Readonly<Record<string, ActorState>>
}

/** Each second while the viewer watches anything. */
export interface Stats {
  readonly type: 'stats'
  readonly t: number
  /** Longest time the event loop did not turn since the last `stats`, in ms. */
  readonly loopGapMs: number
  readonly cpuPercent: number
  readonly rssBytes: number
  readonly heapBytes: number
  readonly actors: { readonly live: number; readonly ended: number }
  /** Things seen on the actor system since the last `stats`, sampled out or not. */
  readonly seen: { readonly events: number; readonly snapshots: number; readonly failures: number }
  readonly viewers: number
  readonly status?: HostStatus
}

/** The answer to a message with an `id`. */
export type Ack =
  | { readonly type: 'ack'; readonly id: string; readonly ok: true; readonly result?: unknown }
  | { readonly type: 'ack'; readonly id: string; readonly ok: false; readonly error: AckError }

export interface AckError {
  readonly code: AckErrorCode
  readonly message: string
  /** With `CONFIRM`: what `confirm` has to be, literally. */
  readonly expected?: string
}

/**
 * - `MALFORMED`    not JSON, no such message, a field missing (`id` is then empty when it was not readable)
 * - `FORBIDDEN`    a read role asked for a change
 * - `CONFIRM`      dangerous, and `confirm` is not what it has to be
 * - `NO_ACTOR`     no such live actor
 * - `NO_EVENT`     no such parked event any more
 * - `REFUSED`      understood and not done: an `xstate.*` event, a state that does not allow it
 * - `UNSUPPORTED`  there is no controller here, or it does not know this command
 * - `UNAVAILABLE`  the journal does not answer; try again
 * - `FAILED`       anything else; it is in the server's log
 */
export type AckErrorCode =
  | 'MALFORMED'
  | 'FORBIDDEN'
  | 'CONFIRM'
  | 'NO_ACTOR'
  | 'NO_EVENT'
  | 'REFUSED'
  | 'UNSUPPORTED'
  | 'UNAVAILABLE'
  | 'FAILED'

// page → server

export type ClientMessage =
  | Watch
  | SnapshotRequest
  | SendRequest
  | ControlRequest
  | ParkedRequest
  | ParkedEventRequest
  | FlightRequest

/** Replaces what was watched before. Everything off is what a hidden tab sends, and what a new viewer begins with. */
export interface Watch {
  readonly type: 'watch'
  /** Whose `@xstate.event` and `transition` to send; an event counts for its receiver. */
  readonly events: Selection
  /** Whose `@xstate.snapshot` to send. Watching one actor is cheap, `all` is not. */
  readonly snapshots: Selection
  /** `batch.states` of all actors, births and errors. Off together with the two above: also no `stats`. */
  readonly states: boolean
}

/** At most 1,000 session ids. */
export type Selection = 'all' | 'none' | readonly string[]

/** Answered with a `SnapshotView` as it is now, watched or not, with wider limits than a batch has (depth 12, 1,000 keys). */
export interface SnapshotRequest {
  readonly type: 'snapshot'
  readonly id: string
  readonly sessionId: string
}

/** Operate. Sends an event to a live actor; `xstate.*` types are refused. Answered when it has been taken. */
export interface SendRequest {
  readonly type: 'send'
  readonly id: string
  readonly sessionId: string
  readonly event: { readonly type: string; readonly [key: string]: unknown }
}

/**
 * Operate. Answered when it is done, or, for `drain`, when it has begun. `confirm` is asked for by `drain`, and by
 * `redrive` and `drop` without `seqs`: the name of the command, typed by a person.
 */
export interface ControlRequest {
  readonly type: 'control'
  readonly id: string
  readonly command: ControlCommand
  readonly confirm?: string
}

/** `result` of the ack: nothing, or what stands behind the command. */
export type ControlCommand =
  | { readonly name: 'pause'; readonly source: string }
  | { readonly name: 'resume'; readonly source: string }
  /** How much may be in flight; what is left out stays as it is. */
  | { readonly name: 'credit'; readonly source: string; readonly events?: number; readonly bytes?: number }
  | { readonly name: 'drain' }
  /** → `{ count }`. The events are looked up again: one that is not parked any more is not touched. */
  | { readonly name: 'redrive'; readonly filter: ParkedFilter }
  /** → `{ count }` */
  | { readonly name: 'drop'; readonly filter: ParkedFilter }
  /** Replaces the payload of a parked event and hands it in again, as one step. → `{ count }` */
  | { readonly name: 'editAndRedrive'; readonly seq: string; readonly data: unknown }
  /** Gives back what waits for a lock in this process: one event of a source, or all. */
  | { readonly name: 'releaseWaiter'; readonly lock: string; readonly source?: string; readonly event?: string }
  | { readonly name: 'logLevel'; readonly level: string }
  /** Reads the secrets of a webhook source again from where they stand; none of them passes this wire. */
  | { readonly name: 'rotateSecret'; readonly source: string }

/** Answered with `ParkedList`. */
export interface ParkedRequest {
  readonly type: 'parked'
  readonly id: string
  readonly filter: ParkedFilter
}

/** Answered with a `ParkedEventView`, or `NO_EVENT`. */
export interface ParkedEventRequest {
  readonly type: 'parkedEvent'
  readonly id: string
  readonly seq: string
}

/** Answered with a `Flight`. */
export interface FlightRequest {
  readonly type: 'flight'
  readonly id: string
}
