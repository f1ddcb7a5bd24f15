/** The kinds of servers that tests use, and what the rest of the support calls them by. */
export const serverKinds = ['postgres', 'rabbitmq', 'kafka'] as const

export type ServerKind = (typeof serverKinds)[number]

/** The name under which `inject` gives a test the address of the shared server. */
export const injectedAs = { postgres: 'databaseUrl', rabbitmq: 'amqpUrl', kafka: 'kafkaBrokers' } as const

/** The variable whose address is used as it is. */
export const addressedBy = { postgres: 'DATABASE_URL', rabbitmq: 'AMQP_URL', kafka: 'KAFKA_BROKERS' } as const

/** All that a test may need beside Node: a server, or a browser. */
export const needKinds = [...serverKinds, 'chromium'] as const

export type NeedKind = (typeof needKinds)[number]

/** The function with which a test starts one of its own, which it may stop, kill and freeze. */
export const startedBy = {
  postgres: 'startPostgresServer',
  rabbitmq: 'startRabbitServer',
  kafka: 'startKafkaServer',
  chromium: 'startChromium',
} as const

/** A server of one's own. */
export interface TestServer {
  readonly url: string
  /** Ends it and all it left. Legal twice. */
  stop(): Promise<void>
  /** Ends it in order and starts it again with its data, at the same address. Also after `kill`. */
  restart(): Promise<void>
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>
  /** Freezes it (SIGSTOP): connections stay open and, once this resolves, nothing answers. */
  pause(): Promise<void>
  resume(): void
}

/** Why a server or the browser could not be had, and the command that would help. */
export class ServerUnavailable extends Error {}
