import { createPollDriver } from '../../actors/poll.ts'
import { createTableQueueDriver } from '../../actors/tableQueue.ts'
import type { WebhookServer } from '../../actors/webhook/server.ts'
import { createWebhookDriver } from '../../actors/webhook.ts'
import type { Driver } from '../../machines/driver.ts'
import { type Intake, journalQueue, longQueue } from '../../machines/journal.ts'
import type { ResolvedConfig, ResolvedSource } from '../config/resolved.ts'

/**
 * Drivers that work on the journal wait with their first connect until its first opening has succeeded or failed: before
 * that there may be no schema.
 */
export const afterJournal = (driver: Driver, journalAnswered: Promise<void>): Driver => ({
  kind: driver.kind,
  connect: async (host) => {
    await journalAnswered
    return driver.connect(host)
  },
})

/** The drivers of a configuration, and the two built-in sources that bring back what waits in the journal. */
export const driverOf = (
  source: ResolvedSource,
  parts: { readonly intake: Intake; readonly journalUrl: string; readonly server: WebhookServer },
): Driver => {
  switch (source.driver) {
    case 'rabbitmq':
      return loaded(async () => (await import('../../actors/rabbitmq.ts')).createRabbitmqDriver(source.options))
    case 'kafka':
      return loaded(async () => (await import('../../actors/kafka.ts')).createKafkaDriver(source.options))
    case 'tableQueue':
      return createTableQueueDriver(source.options, parts.intake)
    case 'poll':
      return createPollDriver({ notifyUrl: parts.journalUrl, ...source.options }, parts.intake)
    case 'webhook':
      return createWebhookDriver(source.options, { server: parts.server, intake: parts.intake })
  }
}

/** Of a broker whose client is loaded when it is connected first: a Kafka client costs half the start of a process. */
const loaded = (load: () => Promise<Driver>): Driver => {
  let driver: Promise<Driver> | undefined
  return {
    kind: 'queue.event',
    connect: async (host) => {
      driver ??= load()
      return (await driver).connect(host)
    },
  }
}

const pollMs = { min: 500, max: 5_000 }
const bytes = 64 * 1_024 * 1_024

/** Retries, emitted events and orphans; and the events of `long` handlers, where there are any. */
export const withBuiltIn = (config: ResolvedConfig): Readonly<Record<string, ResolvedSource>> => {
  const queue = (name: string, events: number): ResolvedSource => ({
    kind: 'queue',
    driver: 'tableQueue',
    credit: { events, bytes },
    options: { queue: name, pollMs },
  })
  return {
    ...config.sources,
    [journalQueue]: queue(journalQueue, 200),
    ...(config.handlers.some(({ long }) => long) ? { [longQueue]: queue(longQueue, config.longConcurrency) } : {}),
  }
}
