import type { SourceKind } from '../machines/event.ts'
import type { Result } from '../machines/protocol.ts'
import type { LiveSecret } from './config/liveSecrets.ts'

/** What `GET /status` and `koksmat-controller status --json` answer. Times are ISO, ages and durations ms. */
export interface Status {
  readonly name: string
  readonly version: string
  readonly pid: number
  readonly state: 'boot' | 'running' | 'draining' | 'stopped'
  readonly startedAt: string
  readonly sources: Readonly<Record<string, SourceStatus>>
  readonly journal: { readonly state: string; readonly error?: string }
  readonly jobs: {
    readonly running: number
    readonly waiting: number
    /** Those that are not settled, the oldest first, at most 100. */
    readonly list: readonly JobStatus[]
    readonly long: readonly { id: string; type: string; runningMs: number; progress?: unknown }[]
  }
  readonly locks: Readonly<Record<string, LockStatus>>
  readonly drain?: DrainReport
}

export interface JobStatus {
  readonly source: string
  /** Id and type of its event. */
  readonly id: string
  readonly type: string
  readonly state: 'running' | 'waiting'
  /** Since it was admitted. */
  readonly ageMs: number
  readonly runningMs?: number
  readonly lane?: string
  readonly lock?: string
  readonly long?: true
  readonly progress?: unknown
}

export interface SourceStatus {
  readonly kind: SourceKind
  readonly driver: string
  /** A state of the source machine: connecting, listening, backingOff, throttled, paused, stalled, draining … */
  readonly state: string
  readonly stateSince: string
  /** When its trouble began: of one that is stalled, or cannot connect and tries again and again. */
  readonly troubleSince?: string
  readonly accepted: number
  readonly settled: number
  readonly inFlight: number
  /** The settled ones, by how they ended. */
  readonly results: Readonly<Record<Result, number>>
  /** Parked in the journal, over all replicas. */
  readonly parked: number
  readonly credit: number
  readonly reconnects: number
  readonly lastError?: { readonly code: string; readonly message: string }
  /** Of a webhook: which are live, by number; never their values. */
  readonly secrets?: readonly LiveSecret[]
}

export interface LockStatus {
  readonly holder?: { readonly id: string; readonly type: string; readonly heldMs: number; readonly replica: string }
  readonly waiting: number
  readonly longestWaitMs: number
}

/** The last log line of a run, and part of the status while draining. */
export interface DrainReport {
  readonly clean: boolean
  readonly reason: string
  readonly phase: string
  readonly tookMs: number
  readonly timeLeftMs: number
  readonly sources: Readonly<
    Record<string, { state: string; inFlight: number; settled: number; released: number; parked: number }>
  >
  /** The oldest unsettled events, at most 50. */
  readonly unsettled: readonly { source: string; id: string; type: string; ageMs: number; state: string }[]
}
