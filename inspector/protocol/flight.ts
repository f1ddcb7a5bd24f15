import type { EventView, Json } from './actors.ts'
import type { MachineDefinition } from './definition.ts'

/** A dump of the flight recorder: what each actor was told last. Holds no payloads; the page opens one from a file too. */
export interface Flight {
  readonly format: 'koksmat-flight'
  readonly v: 1
  readonly reason: 'asked' | 'parked' | 'crash'
  /** ISO. */
  readonly at: string
  readonly pid: number
  readonly name: string
  readonly version: string
  /** With `parked`: the event; with `crash`: what was thrown. */
  readonly about?: Json
  readonly actors: readonly FlightActor[]
}

export interface FlightActor {
  /** `controller`, `source:orders` */
  readonly id: string
  readonly machine: string
  readonly definition: MachineDefinition
  /** State and context before the first entry: where a replay begins. */
  readonly from: { readonly active: readonly string[]; readonly value: Json; readonly context: Json }
  /** Entries that were overwritten since the start of the process. */
  readonly earlier: number
  readonly entries: readonly FlightEntry[]
}

export interface FlightEntry {
  /** Rises over all actors, so that their entries can be put in one order. */
  readonly seq: number
  /** Epoch ms. */
  readonly at: number
  readonly event: EventView
  /** Active states afterwards. */
  readonly active: readonly string[]
}
