import type { ServerKind } from '../test/support/serverKinds.ts'

/**
 * A workload is the same work done by several sides: the controller, the bare client that a reader might have written
 * instead, and other products; or the controller in several situations. Each side lives in a process of its own, so that
 * memory, compiled code and garbage are its own; they take turns, so that a busy machine is busy for all of them.
 */
export interface Workload {
  readonly name: string
  /** One line: what is done, and what it is compared with. */
  readonly about: string
  /** Events of one run of one side. */
  readonly events: number
  readonly servers: readonly ServerKind[]
  /** The first is judged by the goals; the second, where there is one, is what it is compared with. */
  readonly sides: Readonly<Record<string, OpenSide>>
  /** Other products; they run when asked for, because they have to be installed. */
  readonly peers?: Readonly<Record<string, OpenSide>>
  readonly goals: readonly Goal[]
}

/** What the first side should reach. */
export type Goal =
  | { readonly perSecond: number }
  /** Share of the second side's throughput. */
  | { readonly share: number }
  /** CPU an event, as a multiple of the second side's. */
  | { readonly cpuShare: number }
  /** µs CPU an event more than the second side. */
  | { readonly cpuAbove: number }
  | { readonly p50Ms: number }
  | { readonly p99Ms: number }
  /** Faster than another side of the workload, where that one runs. */
  | { readonly aheadOf: string }

/** Opens what all runs of one side share: connections, tables, queues. */
export type OpenSide = (events: number) => Promise<Side>

export interface Side {
  /** Makes one run ready: fills queues, opens connections. Nothing of that is measured. */
  prepare(): Promise<Run>
  close(): Promise<void>
}

export interface Run {
  /** The measured part; resolves when the last event is settled. What it tells itself stands for what is measured. */
  go(): Promise<Partial<Measured> | undefined>
  end(): Promise<void>
}

/** What one run cost the process of its side; servers and senders are not counted. */
export interface Measured extends Partial<Latency> {
  readonly perSecond: number
  readonly cpuMicrosPerEvent: number
  /** Largest resident set seen during the run. */
  readonly peakMegabytes: number
}

export interface Latency {
  readonly p50Ms: number
  readonly p99Ms: number
}
