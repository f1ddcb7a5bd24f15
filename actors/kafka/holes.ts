import type { DriverHost } from '../../machines/driver.ts'
import type { Track } from './track.ts'

/**
 * Holes: records that the broker deleted (retention, truncation) before we read them. The library goes on where the log
 * is and says nothing; a hole is reported as a warning and as `kafka_hole_records`.
 */
export interface Holes {
  /** The stream went on at another offset. True when that lies behind what was delivered: the log was cut. */
  moved(track: Track, offset: number | undefined): boolean
  /** Before a record is taken: what lay in the buffer is delivered by now, so the hole can be measured. */
  passing(track: Track, offset: number): void
}

export const createHoles = (host: DriverHost): Holes => {
  const landings = new Map<Track, number>()

  const report = (track: Track, landing: number): void => {
    landings.delete(track)
    const missing = landing - (track.next ?? landing)
    if (missing <= 0) return
    const { topic, partition } = track
    host.log.warn({ topic, partition, from: track.next, to: landing, missing }, 'records deleted before they were read')
    host.gauge('kafka_hole_records', missing, { topic, partition: String(partition) })
  }

  return {
    moved(track, offset) {
      if (offset === undefined || track.next === undefined || offset === track.next) return false
      if (offset < track.next) return track.delivered > 0
      if (track.delivered === 0) report(track, offset)
      else landings.set(track, offset)
      return false
    },
    passing(track, offset) {
      if (landings.size === 0) return
      const landing = landings.get(track)
      if (landing !== undefined && offset >= landing) report(track, landing)
    },
  }
}
