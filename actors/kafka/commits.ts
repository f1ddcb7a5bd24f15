import type { Log } from '../../machines/driver.ts'
import { owns, type TopicPartitions, type Tracks } from './tracks.ts'

/** The part of the library's consumer that commits. */
export interface CommitClient {
  readonly assignments: readonly TopicPartitions[] | null
  readonly memberId: string | null
  isActive(): boolean
  commit(request: CommitRequest): Promise<void>
}

export interface CommitRequest {
  offsets: { topic: string; partition: number; offset: bigint; leaderEpoch: number }[]
}

/**
 * The commit fence. Kafka has none of its own: a commit of yesterday resolves, and rewinds who owns the partition now.
 *
 * - One commit at a time: parallel ones overtake each other, and the lowest offset may win.
 * - Only for partitions that are assigned to us at this moment: the broker does not check.
 * - Never while we are not an active member: the broker answers by closing the connection that also carries heartbeats,
 *   and what is left is a member that reads nothing and reports nothing.
 * - Never between `hold` and `begin`, except the last one, which `hold` itself sends, synchronously: it reaches the broker
 *   before the JoinGroup, so that the next owner starts from it.
 * - `fence` empties a commit under way. The library repeats it under the new generation, reading the request again.
 */
export interface Commits {
  /** Something moved: it is committed within the interval. */
  touch(): void
  /** Commits now what may be committed. Resolves when no commit is under way; never rejects. */
  flush(): Promise<void>
  hold(): void
  fence(): void
  begin(): void
  close(): void
}

export const createCommits = (
  client: CommitClient,
  tracks: Tracks,
  { intervalMs, log, onCommitted }: { intervalMs: number; log: Log; onCommitted: () => void },
): Commits => {
  let underWay: { readonly request: CommitRequest; readonly done: Promise<void> } | undefined
  let timer: NodeJS.Timeout | undefined
  let held = true
  let closed = false

  const somethingDue = (): boolean => {
    for (const track of tracks.all()) if (track.due() !== undefined) return true
    return false
  }

  const touch = (): void => {
    if (closed) return
    timer ??= setTimeout(() => {
      timer = undefined
      void flush().then(() => {
        if (somethingDue()) touch()
      })
    }, intervalMs)
  }

  const flush = (): Promise<void> => {
    if (underWay !== undefined) return underWay.done
    return held || !client.isActive() ? Promise.resolve() : send()
  }

  const send = (): Promise<void> => {
    if (client.memberId === null) return Promise.resolve()
    const due: (() => void)[] = []
    const request: CommitRequest = { offsets: [] }
    for (const track of tracks.all()) {
      const offset = track.due()
      if (offset === undefined || !owns(client.assignments, track.topic, track.partition)) continue
      request.offsets.push({ topic: track.topic, partition: track.partition, offset: BigInt(offset), leaderEpoch: -1 })
      due.push(() => track.committed(offset))
    }
    if (due.length === 0) return Promise.resolve()

    const fenced = (): boolean => request.offsets.length === 0
    const over = (): void => {
      if (underWay?.request === request) underWay = undefined
    }
    const done = client
      .commit(request)
      .finally(over)
      .then(
        () => {
          if (fenced()) return
          for (const note of due) note()
          onCommitted()
        },
        (thrown: unknown) => {
          if (!fenced() && !held) log.warn({ err: thrown }, 'offsets not committed')
        },
      )
    underWay = { request, done }
    return done
  }

  return {
    touch,
    flush,
    hold() {
      // By now the library has stopped its heartbeat, so the member is not active any more, but still a member.
      if (!held && underWay === undefined) void send()
      held = true
    },
    fence() {
      if (underWay !== undefined) underWay.request.offsets = []
      underWay = undefined
      held = true
    },
    begin() {
      held = false
    },
    close() {
      clearTimeout(timer)
      closed = true
      held = true
    },
  }
}
