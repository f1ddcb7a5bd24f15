import { createTrack, type Track } from './track.ts'

/** A place in the group: who we are to the coordinator, and in which of its generations. */
export interface Membership {
  readonly memberId: string
  readonly generationId: number
}

export interface TopicPartitions {
  readonly topic: string
  readonly partitions: readonly number[]
}

/** The partitions that are ours, and how far each has come. */
export interface Tracks {
  get(topic: string, partition: number): Track | undefined
  all(): Iterable<Track>
  /**
   * Another assignment. A partition stays with what is under way for it when nobody else can have had it meanwhile: the
   * same member, one generation later. Everything else is dropped; it comes again from the committed offset.
   */
  renew(membership: Membership, assignments: readonly TopicPartitions[]): void
  begin(topic: string, partition: number, start: number | undefined): void
  drop(): void
}

export const createTracks = (commitStart: boolean, onDropped: (track: Track) => void): Tracks => {
  const topics = new Map<string, Map<number, Track>>()
  let last: Membership | undefined

  const get: Tracks['get'] = (topic, partition) => topics.get(topic)?.get(partition)
  const forget = (track: Track): void => {
    track.drop()
    topics.get(track.topic)?.delete(track.partition)
    onDropped(track)
  }
  function* all(): Iterable<Track> {
    for (const partitions of topics.values()) yield* partitions.values()
  }

  return {
    get,
    all,
    renew(membership, assignments) {
      const unbroken = membership.memberId === last?.memberId && membership.generationId === last.generationId + 1
      last = membership
      for (const track of [...all()]) {
        if (!unbroken || !owns(assignments, track.topic, track.partition)) forget(track)
      }
    },
    begin(topic, partition, start) {
      const partitions = topics.get(topic) ?? new Map<number, Track>()
      topics.set(topic, partitions)
      partitions.set(partition, createTrack({ topic, partition, start, commitStart }))
    },
    drop() {
      for (const track of [...all()]) forget(track)
    },
  }
}

export const owns = (assignments: readonly TopicPartitions[] | null, topic: string, partition: number): boolean =>
  assignments?.some((assigned) => assigned.topic === topic && assigned.partitions.includes(partition)) ?? false
