import type { DriverHost } from '../../machines/driver.ts'
import type { TopicPartitions, Tracks } from './tracks.ts'

/** The part of the library's consumer that is looked at. */
export interface WatchedClient {
  readonly generationId: number
  readonly lastHeartbeat: Date | null
  readonly assignments: readonly TopicPartitions[] | null
  isActive(): boolean
  metadata(request: { topics: string[]; forceUpdate: true; retries: 0 }): Promise<{
    readonly topics: ReadonlyMap<string, { readonly partitionsCount: number }>
  }>
  listOffsets(request: {
    topics: string[]
    partitions: Record<string, number[]>
    timestamp: bigint
  }): Promise<ReadonlyMap<string, readonly bigint[]>>
}

export interface WatchOptions {
  readonly topics: readonly string[]
  /** An active member that got no heartbeat answered for so long is out. */
  readonly silenceLimitMs: number
  /** How long a join may take. */
  readonly joinLimitMs: number
  /** The leader of the group: how many partitions of each topic it divided among the members. Otherwise undefined. */
  readonly divided: () => ReadonlyMap<string, number> | undefined
  readonly onSilent: (ms: number) => void
  readonly onPartitionsAdded: (topic: string, count: number) => void
}

const tickMs = 1_000
const ticksPerLook = 5
const latest = -1n

/**
 * What no event of the library tells, looked at from time to time:
 *
 * - each second, whether the group still answers: some failures leave a consumer that does nothing and says nothing, and
 *   in others the library's own alarm comes after nested retries only. A tick that is late was ours to miss: we were
 *   frozen, and the library gets its chance to join again;
 * - every 5 s, how far behind the end of the log we are (`kafka_lag`: records not settled);
 * - every 5 s, by the leader of the group, whether a topic has new partitions, which the group would not notice.
 *
 * Returns the end of the watch.
 */
export const startWatch = (
  client: WatchedClient,
  tracks: Tracks,
  host: DriverHost,
  options: WatchOptions,
): (() => void) => {
  let lastSign = ''
  let lastSignAt = Date.now()
  let lastTickAt = lastSignAt
  let ticks = 0
  let looking = false
  let over = false

  const lookForPartitions = async (): Promise<void> => {
    if (options.divided() === undefined) return
    const { topics } = await client.metadata({ topics: [...options.topics], forceUpdate: true, retries: 0 })
    for (const [topic, { partitionsCount }] of topics) {
      const before = options.divided()?.get(topic)
      if (!over && before !== undefined && partitionsCount > before) options.onPartitionsAdded(topic, partitionsCount)
    }
  }

  const measureLag = async (): Promise<void> => {
    const owned = client.assignments?.filter(({ partitions }) => partitions.length > 0) ?? []
    if (owned.length === 0) return
    const ends = await client.listOffsets({
      topics: owned.map(({ topic }) => topic),
      partitions: Object.fromEntries(owned.map(({ topic, partitions }) => [topic, [...partitions]])),
      timestamp: latest,
    })
    if (over) return
    for (const track of tracks.all()) {
      const end = ends.get(track.topic)?.[track.partition]
      if (end === undefined || track.position === undefined) continue
      const lag = Math.max(0, Number(end) - track.position)
      host.gauge('kafka_lag', lag, { topic: track.topic, partition: String(track.partition) })
    }
  }

  const look = async (): Promise<void> => {
    if (looking) return
    looking = true
    const looks = await Promise.allSettled([lookForPartitions(), measureLag()])
    looking = false
    for (const result of looks) {
      if (result.status === 'rejected' && !over) host.log.debug({ err: result.reason }, 'kafka not looked at')
    }
  }

  const timer = setInterval(() => {
    const now = Date.now()
    const sign = `${client.generationId} ${client.lastHeartbeat?.getTime()}`
    if (sign !== lastSign || now - lastTickAt > 2 * tickMs) lastSignAt = now
    lastSign = sign
    lastTickAt = now
    const silentMs = now - lastSignAt
    const active = client.isActive()
    if (silentMs > (active ? options.silenceLimitMs : options.joinLimitMs)) return options.onSilent(silentMs)
    if (active && ticks++ % ticksPerLook === 0) void look()
  }, tickMs)

  return () => {
    over = true
    clearInterval(timer)
  }
}
