import { Consumer } from '@platformatic/kafka'
import type { Driver } from '../machines/driver.ts'
import { ControllerError } from '../machines/errors.ts'
import { kafkaError } from './kafka/errors.ts'
import { closeConsumer, createLink, type KafkaConsumer } from './kafka/link.ts'
import { consumerOptions, type KafkaOptions } from './kafka/options.ts'
import { settledWithin } from './within.ts'

export type { KafkaOptions } from './kafka/options.ts'

/**
 * The Kafka driver: one member of a consumer group, at least once, in order within a partition.
 *
 * What is accepted stays uncommitted until it is settled; only contiguous prefixes are committed. So a crash, a kill or
 * a rebalance loses nothing, and what was not committed comes again, with the same id (`topic/partition/offset`).
 *
 * The library does the protocol and no more: what keeps records from being skipped, commits from rewinding others, and
 * a consumer from falling silent stands in `kafka/`: `link.ts` (the life of a member), `commits.ts` (the fence),
 * `tracks.ts` (what is ours), `stream.ts` (one stream an assignment), `watch.ts` (what no event tells).
 *
 * `connect` asks for the topics and joins nothing; `consume` joins the group.
 *
 * @throws ControllerError from `connect` and `consume`: SOURCE_NOT_FOUND when a topic is missing, SOURCE_TIMED_OUT when
 *   nobody answers in `connectTimeoutMs`, otherwise SOURCE_CONNECT_FAILED
 */
export const createKafkaDriver = (options: KafkaOptions): Driver => {
  let lastReceipt = 0
  let maxLead: number | undefined
  return {
    kind: 'queue.event',
    async connect(host) {
      const consumer: KafkaConsumer = new Consumer(consumerOptions(options))
      // Without a listener the library's errors end the process; the link adds its own.
      consumer.on('error', (error) => host.log.debug({ err: error }, 'kafka client failed'))
      try {
        await topicsOf(consumer, options)
      } catch (thrown) {
        await closeConsumer(consumer)
        throw kafkaError(thrown, 'SOURCE_CONNECT_FAILED')
      }
      maxLead ??= maxLeadFor(host.credit.events)
      return createLink(consumer, options, host, maxLead, () => ++lastReceipt)
    },
  }
}

/**
 * How far delivered records may run ahead of the committed offset in one partition. Wide enough that a commit of a few
 * milliseconds does not hold up the intake; small enough to treat all of it with suspicion after a crash: `redelivered`.
 * Of the configured credit, whatever an operator makes of it: the process after a crash knows no other.
 */
const maxLeadFor = (credit: number): number => Math.max(4 * credit, 1_000)

const topicsOf = async (consumer: KafkaConsumer, { topics, connectTimeoutMs }: KafkaOptions): Promise<void> => {
  const answer = consumer.metadata({ topics: [...topics], retries: 0 })
  if (await settledWithin(answer, connectTimeoutMs)) await answer
  else throw new ControllerError('SOURCE_TIMED_OUT', `No Kafka broker answered within ${connectTimeoutMs} ms.`)
}
