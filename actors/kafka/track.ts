import { createPrefix } from '../../machines/prefix.ts'

/**
 * How far one partition has come while it is ours. Offsets are numbers here: 2^53 of them last for ever.
 *
 * ```
 *             committed        prefix              seen
 *   ──────────────┴───────────────┴───────────────────┴────▸ offsets
 *    broker knows   settled, to be   delivered, some
 *                   committed        settled out of order
 *                 └───────────── lead ────────────────┘
 * ```
 *
 * The lead is what a crash may run again. It is bounded (see `link.ts`), and because it is, the first `lead` records of
 * a partition are all that may have been begun by a process that died.
 */
export interface Track {
  readonly topic: string
  readonly partition: number
  /** `topic/partition`. */
  readonly name: string
  /** False when the partition was lost, or is read anew: what is still under way for it does not count any more. */
  readonly live: boolean
  /** Records delivered and not committed. */
  readonly lead: number
  readonly delivered: number
  /** The offset after the last one delivered; unknown before the first, unless the start is known. */
  readonly next: number | undefined
  /** The next offset that the broker is to hand out after us. */
  readonly position: number | undefined
  /** Takes a record in. False when it had been delivered before. */
  take(offset: number): boolean
  settle(offset: number): void
  /** What is to be committed, if the broker does not know it yet. */
  due(): number | undefined
  committed(offset: number): void
  drop(): void
}

export interface TrackStart {
  readonly topic: string
  readonly partition: number
  /** Where the stream begins to read. */
  readonly start: number | undefined
  /**
   * Commit the start itself. Without a commit, "the latest record" is somewhere else each time the partition is
   * assigned, and what arrived between two assignments would be skipped.
   */
  readonly commitStart: boolean
}

export const createTrack = ({ topic, partition, start, commitStart }: TrackStart): Track => {
  const prefix = createPrefix()
  let ahead: number[] = []
  let head = 0
  let delivered = 0
  let seen = -1
  let live = true
  let position = start
  let known = commitStart ? undefined : start

  return {
    topic,
    partition,
    name: `${topic}/${partition}`,
    get live() {
      return live
    },
    get lead() {
      return ahead.length - head
    },
    get delivered() {
      return delivered
    },
    get next() {
      return seen < 0 ? start : seen + 1
    },
    get position() {
      return position
    },
    take(offset) {
      if (offset <= seen) return false
      seen = offset
      delivered += 1
      prefix.add(offset)
      ahead.push(offset)
      return true
    },
    settle(offset) {
      const settled = prefix.settle(offset)
      if (settled !== undefined) position = settled + 1
    },
    due: () => (position === known ? undefined : position),
    committed(offset) {
      known = offset
      while (head < ahead.length && (ahead[head] ?? 0) < offset) head += 1
      if (head > 1_000) {
        ahead = ahead.slice(head)
        head = 0
      }
    },
    drop() {
      live = false
    },
  }
}
