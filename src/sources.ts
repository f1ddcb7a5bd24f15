import type { KafkaOptions } from '../actors/kafka.ts'
import type { PollOptions } from '../actors/poll.ts'
import type { RabbitmqOptions } from '../actors/rabbitmq.ts'
import type { WebhookOptions } from '../actors/webhook.ts'
import type { Duration, EnvReference, SourceDefinition } from './define.ts'
import type { Secret, SignatureDefinition } from './signatures.ts'

/**
 * The five kinds of source, as a user writes them. They only describe: options are checked, and `env` references read,
 * when the controller starts. Sizes are bytes, lengths of time are `Duration`s.
 */

/** How much of a source may be in flight at once. There is no "unlimited". */
export interface CreditOptions {
  /** Most events taken and not settled, 1 to 10,000 (default 32). */
  readonly credit?: number
  /** Most payload bytes taken and not settled (default 64 MiB). */
  readonly creditBytes?: number
}

export interface RabbitmqSource extends CreditOptions {
  readonly queue: string
  /** `amqp://` or `amqps://` (default: `AMQP_URL`). */
  readonly url?: string | EnvReference
  /**
   * Declare the queue when connecting: `true` for a durable quorum queue of that name, or what it should be like.
   * Default: the queue must be there, and is not touched.
   */
  readonly declare?: boolean | RabbitmqDeclaration
  /**
   * The type of events that carry none of their own: a header, or a function of the message.
   * Default: the `type` property of the message, else its routing key.
   */
  readonly type?: NonNullable<RabbitmqOptions['type']>
  /** Hand events that failed for good to the queue's dead-letter exchange as well (default false). */
  readonly deadLetter?: boolean
  /** Default `5s`. */
  readonly heartbeat?: Duration
  /** Default `10s`. */
  readonly connectTimeout?: Duration
  /** Larger payloads are parked unread (default 16 MiB). */
  readonly maxEventBytes?: number
}

export interface RabbitmqDeclaration {
  /** Default `quorum`. */
  readonly type?: 'quorum' | 'classic'
  /** Declared too, and the queue bound to it. A name alone is a durable topic exchange. */
  readonly exchange?:
    | string
    | {
        readonly name: string
        /** Default `topic`. */
        readonly type?: 'direct' | 'topic' | 'fanout' | 'headers'
        /** Default true. */
        readonly durable?: boolean
      }
  /** Routing keys that bring messages from the exchange (default: `['#']`, all of them). */
  readonly bindings?: readonly string[]
  readonly deadLetterExchange?: string
  /** Further `x-` arguments of the queue. */
  readonly arguments?: Readonly<Record<string, unknown>>
}

/** A RabbitMQ queue: one event a message, acknowledged when it is settled. */
export const rabbitmq = (options: RabbitmqSource): SourceDefinition => ({ driver: 'rabbitmq', kind: 'queue', options })

export interface KafkaSource extends CreditOptions {
  readonly topics: readonly string[]
  /** The consumer group; replicas of one controller share it. */
  readonly groupId: string
  /** `host:port` of some brokers (default: `KAFKA_BROKERS`, separated by commas). */
  readonly brokers?: string | EnvReference | readonly string[]
  /**
   * The type of events that carry none of their own: a name, a header, or a function of the record.
   * Default: the header `type`, else the topic.
   */
  readonly type?: NonNullable<KafkaOptions['type']>
  /** Where a group without a commit begins (default `earliest`). */
  readonly from?: 'earliest' | 'latest'
  /** Without a heartbeat for so long, a member is out (default `30s`). */
  readonly sessionTimeout?: Duration
  /** Between two commits (default `200ms`). */
  readonly commitInterval?: Duration
  /** Default `koksmat-controller`. */
  readonly clientId?: string
  readonly sasl?:
    | {
        readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
        readonly username: Secret
        readonly password: Secret
      }
    | { readonly mechanism: 'OAUTHBEARER'; readonly token: Secret }
  /** `true`, or the options of Node's `tls.connect`. */
  readonly tls?: boolean | Readonly<Record<string, unknown>>
  /** Fetched from one partition at a time (default 256 KiB). */
  readonly maxBytesPerPartition?: number
  /** Larger payloads are parked unread (default 16 MiB). */
  readonly maxEventBytes?: number
  /** Default `10s`. */
  readonly connectTimeout?: Duration
}

/** Kafka topics: one event a record, in order by key, committed up to the first record that is not settled. */
export const kafka = (options: KafkaSource): SourceDefinition => ({ driver: 'kafka', kind: 'queue', options })

/** How often something is looked at that cannot call: at least every `max`, down to every `min` while there is work. */
export interface PollingOptions {
  /** Default `{ min: '2s', max: '30s' }`. */
  readonly interval?: { readonly min?: Duration; readonly max?: Duration }
}

export interface TableQueueSource extends CreditOptions, PollingOptions {
  readonly queue: string
}

/** A queue in the journal's own database, filled with the SQL function `koksmat.enqueue(…)` or by `emit`. */
export const tableQueue = (options: TableQueueSource): SourceDefinition => ({
  driver: 'tableQueue',
  kind: 'queue',
  options,
})

interface AnyPollSource extends CreditOptions, PollingOptions {
  /** The database to watch (default: the journal's own). */
  readonly url?: string | EnvReference
  /** A channel of that database whose NOTIFY makes it look at once. */
  readonly notify?: string
  /** Where to listen for it (default: `url`). For a `url` that leads through a pooler, which does not pass NOTIFY on. */
  readonly notifyUrl?: string | EnvReference
  /** Type of the events, or a function of the row. */
  readonly type: PollOptions['type']
  /** Most rows taken at a time (default: what the credit leaves). */
  readonly pageSize?: number
}

/** Rows of a table that match a condition. One of `mark`, `delete` and `track` says how a taken row is told. */
export type TriggerSource = AnyPollSource & {
  /** May be qualified: `shop.invoices`. */
  readonly table: string
  /** SQL that a row must meet, e.g. `status = 'new'`. Your own SQL: never build it from what a stranger sent. */
  readonly where?: string
  /** The column that names a row (default `id`). */
  readonly key?: string
  /** Columns that become `event.data` (default: all). */
  readonly columns?: readonly string[]
} & (
    | {
        /** Columns to set in the taken row, so that it does not match any more. */
        readonly mark: Readonly<Record<string, string | number | boolean | null>>
      }
    | {
        /** Delete the taken row. */
        readonly delete: true
      }
    | {
        /** Leave the row alone and remember it; a change of the `version` column makes it a new event. */
        readonly track: { readonly version: string }
      }
  )

/** Keys that an SQL query gives: an event when a key appears, and where asked when it goes, and as a reminder. */
export type ConditionSource = AnyPollSource & {
  /** Your own SQL; one of its columns is called `key`. The row becomes `event.data`. */
  readonly query: string
  /** Type of the event when a key is gone again. */
  readonly clears?: string
  /** Remind of a key that stays, so often. */
  readonly every?: Duration
}

/** A Postgres database that is watched: triggers (`table`) or conditions (`query`). */
export const poll = (options: TriggerSource | ConditionSource): SourceDefinition => ({
  driver: 'poll',
  kind: 'database',
  options,
})

export interface WebhookSource extends CreditOptions {
  /** Exact, e.g. `/hooks/github`. */
  readonly path: string
  /** Who may call; `unsigned()` says that anybody may. */
  readonly signature: SignatureDefinition
  /** The type of events that carry none of their own, or a function of the request. */
  readonly type: WebhookOptions['type']
  /** Default `POST`. */
  readonly method?: 'POST' | 'PUT'
  /** `accepted` (default): 202 once the event is durable. `settled`: 200 with what the handler returned. */
  readonly reply?: 'accepted' | 'settled'
  /** Default 1 MiB. */
  readonly maxBodyBytes?: number
  /** To receive a request, and to wait for a handler with `reply: 'settled'` (default `10s`). */
  readonly timeout?: Duration
  /** Requests beyond it get 429 (default: no such limit). */
  readonly rate?: {
    readonly perSecond: number
    /** Default: `perSecond`. */
    readonly burst?: number
  }
  /** The header with an id by which a repeated request is told, for senders whose scheme has none. */
  readonly id?: string
}

/** A path of the webhook port: verified, written to the journal, then answered. */
export const webhook = (options: WebhookSource): SourceDefinition => ({ driver: 'webhook', kind: 'webhook', options })
