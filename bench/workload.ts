/**
 * A workload is the same work done by several sides: the controller, and where there is one the bare client that a
 * reader might have written instead. Sides take turns within one run, so that a busy machine is busy for all of them.
 */
export interface Workload {
  readonly name: string
  /** Events of one run of one side. */
  readonly events: number
  /** The least the controller should reach: events/s, or a share of what the bare client does. */
  readonly goal: { readonly perSecond: number } | { readonly ofBare: number }
  /** What all runs share: servers, tables. */
  open(): Promise<Bench>
}

export interface Bench {
  readonly controller: Side
  readonly bare?: Side
  close(): Promise<void>
}

/** Makes one run ready: fills queues, opens connections. Nothing of that is measured. */
export type Side = () => Promise<Run>

export interface Run {
  /** The measured part; resolves when the last event is settled. */
  go(): Promise<void>
  end(): Promise<void>
}
