import type { Consumer, MessagesStream } from '@platformatic/kafka'
import type { DriverHost, Link } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import { settledWithin } from '../within.ts'
import { createCommits } from './commits.ts'
import { kafkaError } from './errors.ts'
import { createHoles } from './holes.ts'
import { createIntake } from './intake.ts'
import { type KafkaOptions, rebalanceTimeoutMs } from './options.ts'
import { createDecoder } from './record.ts'
import { createStream, type Stream } from './stream.ts'
import { createTracks } from './tracks.ts'
import { startWatch } from './watch.ts'

export type KafkaConsumer = Consumer<Buffer, Buffer, Buffer, Buffer>
type KafkaMessages = MessagesStream<Buffer, Buffer, Buffer, Buffer>

/**
 * One link: one consumer from connect to lost or disconnect. Rebalances happen inside it.
 *
 * ```
 *             consumer:group:rebalance            consumer:group:join               stream opened
 *   reading ───────────────────────────▸ moving ────────────────────────▸ opening ────────────────▸ reading
 *      │     halt, last commit, hold             fence, renew the tracks           tracks begin
 *      ├── stream died, member alive ─────────── tracks dropped ──────────▸ opening
 *      ├── released record, nothing in flight ── commit, tracks dropped ──▸ opening
 *      └── member gone, group silent ──────────▸ lost
 * ```
 *
 * - `reading`: records flow while there is credit, the lead of no partition is too long, and nobody said pause or cancel.
 * - `moving`: the group is rebalancing. Nothing is taken; what is settled meanwhile waits for the fence.
 * - `opening`: a new stream for a new assignment, opened before the old one is destroyed, because the consumer that
 *   closes its last stream leaves its topics. A frozen member comes here without `moving`.
 * - `lost`: told to the host once; closes by itself.
 *
 * After `cancel` there are no new streams, but the tracks of partitions that stay ours live on: their commits work.
 */
export const createLink = (
  consumer: KafkaConsumer,
  options: KafkaOptions,
  host: DriverHost,
  maxLead: number,
  nextReceipt: () => number,
): Link => {
  const holes = createHoles(host)
  const tracks = createTracks(options.from === 'latest', ({ topic, partition }) =>
    host.gauge('kafka_lag', 0, { topic, partition: String(partition) }),
  )
  const commits = createCommits(consumer, tracks, {
    intervalMs: options.commitIntervalMs,
    log: host.log,
    onCommitted: () => intake.steer(),
  })
  const intake = createIntake({
    host,
    tracks,
    commits,
    holes,
    maxLead,
    decode: createDecoder(host.source, options),
    nextReceipt,
    onRewind: () => void rewind(),
  })
  let stream: Stream | undefined
  let opening: Promise<void> = Promise.resolve()
  let divided: ReadonlyMap<string, number> | undefined
  let closing: Promise<void> | undefined
  let endWatch = (): void => {}

  // Streams

  const open = async (): Promise<void> => {
    if (intake.halted('over')) return
    if (intake.halted('cancelled')) return commits.begin()
    await learnNewPartitions()
    const source = await newStream()
    if (intake.halted('over')) return void source.destroy()
    if (source.errored !== null) throw source.errored
    const before = stream
    before?.silence()
    const opened = createStream(source, {
      record: intake.take,
      opened: () => beginTracks(opened),
      moved: () => moved(opened),
      died(read, error) {
        if (!read || !consumer.isActive()) return lost(connectionLost('its stream of records ended', error))
        host.log.warn({ err: error }, 'stream of records ended; opening another one')
        reopen()
      },
    })
    stream = opened
    intake.follow(opened)
    before?.destroy()
    if (!intake.halted('moving')) commits.begin()
    intake.steer()
  }

  /**
   * A stream fails at once when its consumer is closed while it is made: before a promise could tell of it, and with
   * nobody listening for its error that would end the process.
   */
  const newStream = (): Promise<KafkaMessages> =>
    new Promise((resolve, reject) => {
      const { topics, from: fallbackMode } = options
      consumer.consume(
        { topics: [...topics], mode: 'committed', fallbackMode, autocommit: false },
        (failure, source: KafkaMessages | undefined) => {
          if (source === undefined) return reject(failure)
          source.on('error', (error) => host.log.debug({ reason: error.message }, 'stream of records ended'))
          resolve(source)
        },
      )
    })

  /** The library computes fetches from its cached metadata, and cannot with a partition that is not in there. */
  const learnNewPartitions = async (): Promise<void> => {
    const known = consumer.currentMetadata?.topics
    const unknown = consumer.assignments?.some(({ topic, partitions }) =>
      partitions.some((partition) => partition >= (known?.get(topic)?.partitionsCount ?? 0)),
    )
    if (unknown) await consumer.metadata({ topics: [...options.topics], forceUpdate: true })
  }

  const beginTracks = (opened: Stream): void => {
    for (const { topic, partitions } of consumer.assignments ?? []) {
      for (const partition of partitions) {
        if (tracks.get(topic, partition) !== undefined) continue
        tracks.begin(topic, partition, opened.fetchOffset(topic, partition))
      }
    }
    commits.touch()
  }

  const moved = (opened: Stream): void => {
    for (const track of [...tracks.all()]) {
      const { topic, partition } = track
      if (!holes.moved(track, opened.fetchOffset(topic, partition))) continue
      host.log.warn({ topic, partition }, 'log was cut behind what was read; reading anew')
      reopen()
      return
    }
  }

  const queueOpening = (): void => {
    stream?.silence()
    opening = opening.then(open).catch((thrown: unknown) => lost(kafkaError(thrown, 'SOURCE_CONNECTION_LOST')))
  }

  /** Everything again from the committed offsets. */
  const reopen = (): void => {
    tracks.drop()
    queueOpening()
  }

  /** Once for what may be under way, once more for what was settled since. */
  const commitAll = (): Promise<void> => commits.flush().then(commits.flush)

  const rewind = async (): Promise<void> => {
    await commitAll()
    intake.free('rewinding')
    if (!intake.halted('over') && !intake.halted('cancelled')) reopen()
  }

  // Membership

  const rebalancing = (): void => {
    intake.halt('moving')
    commits.hold()
  }

  consumer.on('error', (error) => lost(connectionLost('it could not join its group again', error)))
  consumer.on('consumer:heartbeat:stalled', ({ lastError }) => {
    lost(connectionLost('its heartbeats stalled', lastError))
  })
  consumer.on('consumer:group:rebalance', rebalancing)
  consumer.on('consumer:group:join', ({ memberId, generationId = 0, isLeader = false, assignments = [] }) => {
    commits.fence()
    divided = isLeader ? partitionCounts() : undefined
    tracks.renew({ memberId, generationId }, assignments)
    host.log.debug({ memberId, generationId, assignments }, 'kafka assignment')
    if (intake.halted('cancelled')) commits.begin()
    else if (stream !== undefined) queueOpening()
    intake.free('moving')
  })

  const partitionCounts = (): ReadonlyMap<string, number> =>
    new Map(
      [...(consumer.currentMetadata?.topics ?? [])].map(([topic, { partitionsCount }]) => [topic, partitionsCount]),
    )

  const growGroup = async (topic: string, partitions: number): Promise<void> => {
    if (intake.halted('moving') || intake.halted('cancelled')) return
    host.log.info({ topic, partitions }, 'topic has new partitions')
    rebalancing()
    await commits.flush()
    try {
      await consumer.joinGroup({})
    } catch (thrown) {
      lost(connectionLost('it could not join its group again', thrown))
    }
  }

  // The end

  const lost = (error: ControllerError): void => {
    if (closing !== undefined) return
    closing = close()
    host.lost(error)
  }

  const close = async (): Promise<void> => {
    intake.halt('over')
    endWatch()
    commits.close()
    stream?.destroy()
    await closeConsumer(consumer)
  }

  const disconnect = async (): Promise<void> => {
    intake.halt('cancelled')
    await settledWithin(commitAll(), lastCommitMs)
    await close()
  }

  return {
    async consume() {
      endWatch = startWatch(consumer, tracks, host, {
        topics: options.topics,
        silenceLimitMs: options.sessionTimeoutMs,
        joinLimitMs: rebalanceTimeoutMs(options) + options.sessionTimeoutMs,
        divided: () => (intake.halted('moving') ? undefined : divided),
        onSilent: (ms) => lost(connectionLost(`its group has not answered for ${Math.round(ms / 1_000)} s`)),
        onPartitionsAdded: (topic, count) => void growGroup(topic, count),
      })
      try {
        await open()
      } catch (thrown) {
        closing ??= close()
        throw kafkaError(thrown, 'SOURCE_CONNECT_FAILED')
      }
    },
    settle: intake.settle,
    pause: () => intake.halt('paused'),
    resume: () => intake.free('paused'),
    creditChanged: intake.steer,
    async cancel() {
      intake.halt('cancelled')
    },
    async disconnect() {
      closing ??= disconnect()
      await closing
    },
  }
}

const lastCommitMs = 2_000
const closeMs = 1_500

const connectionLost = (what: string, cause?: unknown): ControllerError => {
  const reason = cause === undefined ? '' : ` (${kafkaError(cause, 'SOURCE_CONNECTION_LOST').message})`
  return new ControllerError('SOURCE_CONNECTION_LOST', `The Kafka consumer was cut off: ${what}${reason}.`, { cause })
}

/**
 * Streams are destroyed before. Only leaving ends a join that is under way: after a close alone it would go on, and its
 * heartbeats with it, for ever. A close during a rejoin can hang: then the sockets are cut.
 */
export const closeConsumer = async (consumer: KafkaConsumer): Promise<void> => {
  await settledWithin(new Promise((resolve) => consumer.leaveGroup(true, resolve)), closeMs)
  const closed = await settledWithin(consumer.close(true), closeMs)
  if (!closed) await settledWithin(consumer.connections.close(), closeMs)
}
