import type { Delivery, DriverHost, Settlement } from '../../machines/driver.ts'
import type { Commits } from './commits.ts'
import type { Holes } from './holes.ts'
import type { DecodedRecord, KafkaRecord } from './record.ts'
import type { Stream } from './stream.ts'
import type { Track } from './track.ts'
import type { Tracks } from './tracks.ts'

/**
 * Why nothing is taken, beside credit and lead:
 *
 * - `moving`: the group is rebalancing;
 * - `rewinding`: a record was released, and the stream goes back to it when nothing is in flight any more;
 * - `paused`: the host said so;
 * - `cancelled`: the host said so, for good;
 * - `over`: the link is closed.
 */
export type Halt = 'moving' | 'rewinding' | 'paused' | 'cancelled' | 'over'

/**
 * What comes in and what goes back. One receipt is one unit of credit, from the record until the host settles it,
 * whatever became of its partition meanwhile; so the credit is true through all rebalances.
 */
export interface Intake {
  /** The stream that is read from now on. */
  follow(stream: Stream): void
  /** A record; those of partitions that are not ours any more, and those delivered before, are passed over. */
  take(record: KafkaRecord): void
  settle(settlements: readonly Settlement[]): void
  halt(why: Halt): void
  free(why: Halt): void
  halted(why: Halt): boolean
  /** Reads or rests, as credit, leads and halts say. */
  steer(): void
}

export interface IntakeParts {
  readonly host: DriverHost
  readonly tracks: Tracks
  readonly commits: Commits
  readonly holes: Holes
  /** How far delivered records may run ahead of the committed offset in one partition. */
  readonly maxLead: number
  decode(record: KafkaRecord): DecodedRecord
  nextReceipt(): number
  /** A record was released, and nothing is in flight. */
  onRewind(): void
}

export const createIntake = (parts: IntakeParts): Intake => {
  const { host, tracks, commits, holes, maxLead, decode, nextReceipt, onRewind } = parts
  const inFlight = new Map<number, { readonly track: Track; readonly offset: number }>()
  const halts = new Set<Halt>()
  let stream: Stream | undefined
  let batch: Delivery[] = []

  /** A long lead is committed at once; the longest stops the intake until it is. */
  const crowded = (): boolean => {
    let found = false
    for (const track of tracks.all()) {
      if (track.lead < maxLead / 2) continue
      if (track.due() !== undefined) void commits.flush()
      found ||= track.lead >= maxLead
    }
    return found
  }

  const steer = (): void => {
    if (crowded() || halts.size > 0 || inFlight.size >= host.credit.events) stream?.halt()
    else if (inFlight.size <= host.credit.events / 2) stream?.flow()
  }

  /** The records of one fetch come in one synchronous burst: they are handed on together. */
  const hand = (): void => {
    const full = batch
    batch = []
    if (!halts.has('over')) host.deliver(full)
  }

  return {
    follow(next) {
      stream = next
    },
    take(record) {
      const track = tracks.get(record.topic, record.partition)
      if (track === undefined) return
      const offset = Number(record.offset)
      const redelivered = track.delivered < maxLead
      holes.passing(track, offset)
      if (!track.take(offset)) return
      const receipt = nextReceipt()
      inFlight.set(receipt, { track, offset })
      const { event, bytes, defect } = decode(record)
      const order = { stream: track.name, position: offset }
      const delivery: Delivery = { receipt, event, bytes, redelivered, order }
      if (batch.push(defect === undefined ? delivery : { ...delivery, defect }) === 1) queueMicrotask(hand)
      if (inFlight.size >= host.credit.events || track.lead >= maxLead) stream?.halt()
    },
    settle(settlements) {
      for (const { receipt, outcome } of settlements) {
        const record = inFlight.get(receipt)
        if (record === undefined) continue
        inFlight.delete(receipt)
        if (outcome !== 'release') record.track.settle(record.offset)
        else if (record.track.live && !halts.has('cancelled')) halts.add('rewinding')
      }
      if (halts.has('over')) return
      commits.touch()
      if (halts.has('rewinding') && inFlight.size === 0) onRewind()
      steer()
    },
    halt(why) {
      halts.add(why)
      steer()
    },
    free(why) {
      halts.delete(why)
      steer()
    },
    halted: (why) => halts.has(why),
    steer,
  }
}
