import type { AnyStateMachine } from 'xstate'
import { activePaths, type Definitions } from './definition.ts'
import type { EventView, Json } from './protocol/actors.ts'
import type { Flight, FlightActor } from './protocol/flight.ts'
import { type Serialize, wideLimits } from './serialize.ts'

/**
 * The flight recorder: what each actor of a few machines was told last, always on, also while nobody looks.
 *
 * It wraps the transition function of a machine instead of inspecting the system, because attached inspection costs
 * everybody. Of each event it keeps what `brief` leaves of it; snapshots are immutable, so that the one a stretch of
 * events begins with is kept by reference. A stretch is 128 events; the one before it is kept too.
 */
export interface Recorder {
  /** The same machine, recorded from now on. */
  record<Machine extends AnyStateMachine>(machine: Machine): Machine
  dump(reason: Flight['reason'], about?: unknown): Flight
}

export interface RecorderOptions {
  readonly name: string
  readonly version: string
  readonly serialize: Serialize
  readonly definitions: Definitions
  /** An event without its payload: it is kept for long. It may return the event itself. */
  readonly brief: (event: { readonly type: string }) => { readonly type: string }
}

interface Seen {
  readonly value: unknown
  readonly context: unknown
}

interface Stretch {
  readonly from: Seen
  readonly entries: {
    readonly seq: number
    readonly at: number
    readonly event: { type: string }
    readonly value: unknown
  }[]
}

interface Track {
  readonly machine: AnyStateMachine
  before: Stretch | undefined
  now: Stretch
  count: number
}

const stretchLength = 128
const mostTracks = 100

export const createRecorder = ({ name, version, serialize, definitions, brief }: RecorderOptions): Recorder => {
  const tracks = new Map<string, Track>()
  let seq = 0

  const trackOf = (id: string, machine: AnyStateMachine, from: Seen): Track | undefined => {
    const known = tracks.get(id)
    if (known !== undefined || tracks.size >= mostTracks) return known
    const made: Track = { machine, before: undefined, now: { from, entries: [] }, count: 0 }
    tracks.set(id, made)
    return made
  }

  const note = (machine: AnyStateMachine, id: string, from: Seen, event: { type: string }, value: unknown): void => {
    const track = trackOf(id, machine, from)
    if (track === undefined) return
    if (track.now.entries.length === stretchLength) {
      track.before = track.now
      track.now = { from, entries: [] }
    }
    track.count++
    track.now.entries.push({ seq: ++seq, at: Date.now(), event: brief(event), value })
  }

  const dumpTrack = ([id, { machine, before, now, count }]: [string, Track]): FlightActor[] => {
    const definition = definitions.of(machine)?.definition
    if (definition === undefined) return []
    const { value, context } = (before ?? now).from
    const entries = [...(before?.entries ?? []), ...now.entries]
    return [
      {
        id,
        machine: machine.id,
        definition,
        from: { active: activePaths(value), value: value as Json, context: serialize(context, wideLimits) },
        earlier: count - entries.length,
        entries: entries.map((entry) => ({
          seq: entry.seq,
          at: entry.at,
          event: serialize(entry.event) as EventView,
          active: activePaths(entry.value),
        })),
      },
    ]
  }

  return {
    record: (machine) => {
      const transition = machine.transition.bind(machine)
      machine.transition = (snapshot, event, scope) => {
        const next = transition(snapshot, event, scope)
        try {
          note(machine, scope.self.id, snapshot, event, next.value)
        } catch {
          // An event of a shape that nobody expected is not worth a machine.
        }
        return next
      }
      return machine
    },
    dump: (reason, about) => ({
      format: 'koksmat-flight',
      v: 1,
      reason,
      at: new Date().toISOString(),
      pid: process.pid,
      name,
      version,
      ...(about === undefined ? {} : { about: serialize(about) }),
      actors: [...tracks].flatMap(dumpTrack),
    }),
  }
}
