import type { Parked } from '../../machines/journal.ts'
import type { Control } from '../control/control.ts'
import type { Status } from '../status.ts'

/** What the admin port shows and commands; the controller is one. */
export interface AdminTarget {
  status(): Promise<Status>
  probes(): Probes
  /** The text of a scrape, in the Prometheus format. */
  metrics(): Promise<string>
  readonly parked: Pick<Parked, 'list' | 'show'>
  /** `MachineGraph[]` (src/graph.ts), passed on as JSON. */
  graph(): unknown
  /** What changes something goes through it, and is in the log. */
  readonly control: Pick<Control, 'perform' | 'audit'>
}

/**
 * Derived from the states of the machines, so that probe, diagram and status cannot disagree.
 *
 * - `live`: the control channel turns; false only when a restart is the remedy.
 * - `started`: boot is over.
 * - `ready`: running, the journal answers and every source is up; false at once when a drain begins.
 */
export interface Probes {
  readonly live: boolean
  readonly started: boolean
  readonly ready: boolean
  /** For people: what keeps a probe from being true, one sentence each. */
  readonly why: readonly string[]
}
