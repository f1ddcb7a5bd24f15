import type { Consumer } from '@platformatic/kafka'
import type { Delivery, DriverHost, Link } from '../../machines/driver.ts'
import { ControllerError } from '../../machines/errors.ts'
import { createCommits } from './commits.ts'
import { kafkaError } from './errors.ts'
import { createHoles } from './holes.ts'
import { type KafkaOptions, rebalanceTimeoutMs } from './options.ts'
import { createDecoder, type KafkaRecord } from './record.ts'
import { createStream, type Stream } from './stream.ts'
import type { Track } from './track.ts'
import { createTracks } from './tracks.ts'
import { startWatch } from './watch.ts'
import { settledWithin } from './within.ts'

export type KafkaConsumer = Consumer<Buffer, Buffer, Buffer, Buffer>

/**
 * One link: one consumer from connect to lost or disconnect. Rebalances happen inside it.
 *
 * ```
 *             consumer:group:rebalance            consumer:group:join               stream opened
 *   reading ───────────────────────────▸ moving ────────────────────────▸ opening ────────────────▸ reading
 *      │     halt, last commit, hold             fence, renew the tracks           tracks begin
 *      ├── stream died, member alive ─────────── tracks dropped ──────────▸ opening
 *      ├── released record, nothing in flight ── commit, tracks dropped ──▸ opening
 *      └── member gone, heartbeats stalled ────▸ lost
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
  receipts: () => number,
): Link => {
  const decode = createDecoder(host.source, options)
  const holes = createHoles(host)
  const tracks = createTracks(options.from === 'latest', ({ topic, partition }) =>
    host.gauge('kafka_lag', 0, { topic, partition: String(partition) }),
  )
  const commits = createCommits(consumer, tracks, {
    intervalMs: options.commitIntervalMs,
    log: host.log,
    onCommitted: () => steer(),
  })
  const inFlight = new Map<number, { readonly track: Track; readonly offset: number }>()
  const maxLead = maxLeadFor(host.credit.events)

  let stream: Stream | undefined
  let opening: Promise<void> = Promise.resolve()
  let batch: Delivery[] = []
  let moving = false
  let rewinding = false
  let paused = false
  let cancelled = false
  let leader = false
  let over = false
  let closing: Promise<void> | undefined
  let endWatch = (): void => {}

  // Intake

  const steer = (): void => {
    let crowded = false
    for (const track of tracks.all()) {
      if (track.lead < maxLead / 2) continue
      crowded ||= track.lead >= maxLead
      if (track.due() !== undefined) void commits.flush()
    }
    if (over || moving || rewinding || paused || cancelled || crowded || inFlight.size >= host.credit.events)
      stream?.halt()
    else if (inFlight.size <= host.credit.events / 2) stream?.flow()
  }

  const take = (record: KafkaRecord): void => {
    const track = tracks.get(record.topic, record.partition)
    if (track === undefined) return
    const offset = Number(record.offset)
    holes.passing(track, offset)
    const redelivered = track.delivered < maxLead
    if (!track.take(offset)) return
    const receipt = receipts()
    inFlight.set(receipt, { track, offset })
    const order = { stream: track.name, position: offset }
    if (batch.push({ receipt, ...decode(record), redelivered, order }) === 1) queueMicrotask(hand)
    if (inFlight.size >= host.credit.events || track.lead >= maxLead) stream?.halt()
  }

  const hand = (): void => {
    const full = batch
    batch = []
    if (!over) host.deliver(full)
  }

  // Streams

  const open = async (): Promise<void> => {
    if (over) return
    if (cancelled) return commits.begin()
    await learnNewPartitions()
    const source = await consumer.consume({
      topics: [...options.topics],
      mode: 'committed',
      fallbackMode: options.from,
      autocommit: false,
    })
    if (over) {
      source.destroy()
      return
    }
    const before = stream
    before?.silence()
    const next = createStream(source, {
      record: take,
      opened: () => {
        for (const { topic, partitions } of consumer.assignments ?? []) {
          for (const partition of partitions) {
            if (tracks.get(topic, partition) === undefined)
              tracks.begin(topic, partition, next.fetchOffset(topic, partition))
          }
        }
        commits.touch()
      },
      moved: () => {
        for (const track of [...tracks.all()]) {
          if (!holes.moved(track, next.fetchOffset(track.topic, track.partition))) continue
          host.log.warn(
            { topic: track.topic, partition: track.partition },
            'log was cut behind what was read; reading anew',
          )
          return reopen()
        }
      },
      died: (opened, error) => {
        if (!opened || !consumer.isActive()) return lost(connectionLost('its stream of records ended', error))
        host.log.warn({ err: error }, 'stream of records ended; opening another one')
        reopen()
      },
    })
    stream = next
    before?.destroy()
    if (!moving) commits.begin()
    steer()
  }

  /** The library computes fetches from its cached metadata, and cannot with a partition that is not in there. */
  const learnNewPartitions = async (): Promise<void> => {
    const known = consumer.currentMetadata?.topics
    const unknown = consumer.assignments?.some(({ topic, partitions }) =>
      partitions.some((partition) => partition >= (known?.get(topic)?.partitionsCount ?? 0)),
    )
    if (unknown) await consumer.metadata({ topics: [...options.topics], forceUpdate: true })
  }

  const queueOpening = (): void => {
    opening = opening.then(open).catch((thrown: unknown) => lost(kafkaError(thrown, 'SOURCE_CONNECTION_LOST')))
  }

  /** Once for what may be under way, once more for what was settled since. */
  const commitAll = (): Promise<void> => commits.flush().then(commits.flush)

  /** Everything again from the committed offsets. */
  const reopen = (): void => {
    stream?.silence()
    tracks.drop()
    queueOpening()
  }

  const rewind = async (): Promise<void> => {
    await commitAll()
    rewinding = false
    if (!over && !cancelled) reopen()
  }

  // Membership

  const revoked = (): void => {
    moving = true
    steer()
    commits.hold()
  }

  consumer.on('error', (error) => lost(connectionLost('it could not join its group again', error)))
  consumer.on('consumer:heartbeat:stalled', ({ lastError }) =>
    lost(connectionLost('its heartbeats stalled', lastError)),
  )
  consumer.on('consumer:group:rebalance', revoked)
  consumer.on('consumer:group:join', ({ memberId, generationId, isLeader, assignments }) => {
    commits.fence()
    moving = false
    leader = isLeader === true
    tracks.renew({ memberId, generationId: generationId ?? 0 }, assignments ?? [])
    host.log.debug({ memberId, generationId, assignments }, 'kafka assignment')
    if (stream === undefined) return
    if (cancelled) return commits.begin()
    stream.silence()
    queueOpening()
  })

  const growGroup = async (topic: string, partitions: number): Promise<void> => {
    if (moving || cancelled || over) return
    host.log.info({ topic, partitions }, 'topic has new partitions')
    revoked()
    await commits.flush()
    try {
      await consumer.joinGroup({})
    } catch (thrown) {
      lost(connectionLost('it could not join its group again', thrown))
    }
  }

  // The end

  const lost = (error: ControllerError): void => {
    if (over || closing !== undefined) return
    closing = close()
    host.lost(error)
  }

  const close = async (): Promise<void> => {
    over = true
    endWatch()
    commits.close()
    stream?.destroy()
    await closeConsumer(consumer)
  }

  const disconnect = async (): Promise<void> => {
    cancelled = true
    stream?.halt()
    await settledWithin(commitAll(), lastCommitMs)
    await close()
  }

  return {
    async consume() {
      endWatch = startWatch(consumer, tracks, host, {
        topics: options.topics,
        absentLimitMs: rebalanceTimeoutMs(options) + options.sessionTimeoutMs,
        isLeader: () => leader && !moving,
        onAbsent: (ms) => lost(connectionLost(`it was no member of its group for ${Math.round(ms / 1_000)} s`)),
        onPartitionsAdded: (topic, count) => void growGroup(topic, count),
      })
      try {
        await open()
      } catch (thrown) {
        closing ??= close()
        throw kafkaError(thrown, 'SOURCE_CONNECT_FAILED')
      }
    },
    settle(settlements) {
      for (const { receipt, outcome } of settlements) {
        const record = inFlight.get(receipt)
        if (record === undefined) continue
        inFlight.delete(receipt)
        if (outcome !== 'release') record.track.settle(record.offset)
        else if (record.track.live && !cancelled) rewinding = true
      }
      if (over) return
      if (rewinding && inFlight.size === 0) void rewind()
      commits.touch()
      steer()
    },
    pause() {
      paused = true
      steer()
    },
    resume() {
      paused = false
      steer()
    },
    async cancel() {
      cancelled = true
      steer()
      await Promise.resolve()
    },
    disconnect: () => (closing ??= disconnect()),
  }
}

/**
 * How far delivered records may run ahead of the committed offset in one partition. Wide enough that commits of a few
 * milliseconds do not hold up the intake; small enough for all of it to be treated with suspicion after a crash.
 */
const maxLeadFor = (credit: number): number => Math.max(4 * credit, 256)

const lastCommitMs = 2_000
const closeMs = 2_000

const connectionLost = (what: string, cause?: unknown): ControllerError => {
  const reason = cause === undefined ? '' : ` (${kafkaError(cause, 'SOURCE_CONNECTION_LOST').message})`
  return new ControllerError('SOURCE_CONNECTION_LOST', `The Kafka consumer was cut off: ${what}${reason}.`, { cause })
}

/** Streams are destroyed before. A close during a rejoin can hang: then the sockets are cut. */
export const closeConsumer = async (consumer: KafkaConsumer): Promise<void> => {
  const closed = await settledWithin(consumer.close(true), closeMs)
  if (!closed) await settledWithin(consumer.connections.close(), closeMs)
}
