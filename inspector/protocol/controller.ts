/**
 * What the controller itself contributes: the answer of `GET /status` and a little more. Times are ISO, ages and
 * durations ms. Counters rise for the life of the process; rates are differences.
 */
export interface HostStatus {
  readonly name: string
  readonly version: string
  readonly pid: number
  readonly state: 'boot' | 'running' | 'draining' | 'stopped'
  readonly startedAt: string
  readonly sources: Readonly<Record<string, SourceView>>
  readonly journal: { readonly state: string; readonly error?: string }
  readonly jobs: JobsView
  readonly locks: Readonly<Record<string, LockView>>
  /** Present from the drain command on. */
  readonly drain?: DrainView
  /** Of events settled since the last `stats`, from arrival to settlement; absent when there were none. */
  readonly latency?: { readonly p50: number; readonly p95: number; readonly p99: number; readonly count: number }
}

export interface SourceView {
  readonly kind: 'queue' | 'database' | 'webhook'
  readonly driver: string
  /** connecting, waiting, listening, throttled, stalled, paused, backingOff, draining, disconnecting, closed */
  readonly state: string
  readonly stateSince: string
  /** When its trouble began: of one that is stalled, or cannot connect and tries again and again. */
  readonly troubleSince?: string
  readonly accepted: number
  readonly settled: number
  readonly inFlight: number
  readonly parked: number
  readonly credit: number
  readonly reconnects: number
  readonly lastError?: { readonly code: string; readonly message: string }
  /** Settled, by how: done, ignored, duplicate, retried, parked, moved, released. */
  readonly results?: Readonly<Record<string, number>>
}

export interface JobsView {
  readonly running: number
  readonly waiting: number
  /** The oldest unsettled ones first, at most 100. */
  readonly list?: readonly JobView[]
  readonly long: readonly {
    readonly id: string
    readonly type: string
    readonly runningMs: number
    readonly progress?: unknown
  }[]
}

export interface JobView {
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
  readonly long?: boolean
  readonly progress?: unknown
}

export interface LockView {
  readonly holder?: { readonly id: string; readonly type: string; readonly heldMs: number; readonly replica: string }
  /** On all replicas. Those of this process are in `jobs.list`, with `lock`. */
  readonly waiting: number
  readonly longestWaitMs: number
}

export interface DrainView {
  readonly clean: boolean
  readonly reason: string
  readonly phase: string
  readonly tookMs: number
  readonly timeLeftMs: number
  readonly sources: Readonly<
    Record<
      string,
      {
        readonly state: string
        readonly inFlight: number
        readonly settled: number
        readonly released: number
        readonly parked: number
      }
    >
  >
  /** The oldest first, at most 50. */
  readonly unsettled: readonly {
    readonly source: string
    readonly id: string
    readonly type: string
    readonly ageMs: number
    readonly state: string
  }[]
}
