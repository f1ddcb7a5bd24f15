import type { ServerKind } from '../test/support/serverKinds.ts'

/**
 * A workload is the same work done by several sides: the controller, the bare client that a reader might have written
 * instead, and other products. Each side lives in a process of its own, so that memory, compiled code and garbage are
 * its own; they take turns, so that a busy machine is busy for all of them.
 */
export interface Workload {
  readonly name: string
  /** One line: what is done, and what it is compared with. */
  readonly about: string
  /** Events of one run of one side. */
  readonly events: number
  readonly servers: readonly ServerKind[]
  /** `controller` is measured by the goals, `bare` is what it is compared with. */
  readonly sides: Readonly<Record<string, OpenSide>>
  /** Other products; they run when asked for, because they have to be installed. */
  readonly peers?: Readonly<Record<string, OpenSide>>
  readonly goals: readonly Goal[]
}

/** What the controller should reach. */
export type Goal =
  | { readonly perSecond: number }
  | { readonly ofBare: number }
  | { readonly cpuOfBare: number }
  /** µs CPU an event more than the bare side. */
  | { readonly cpuAboveBare: number }
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
  /** The measured part; resolves when the last event is settled. */
  go(): Promise<Latency | undefined>
  end(): Promise<void>
}

/** As whoever sends sees it. */
export interface Latency {
  readonly p50Ms: number
  readonly p99Ms: number
}
