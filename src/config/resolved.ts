import type { KafkaOptions } from '../../actors/kafka.ts'
import type { PollOptions } from '../../actors/poll.ts'
import type { RabbitmqOptions } from '../../actors/rabbitmq.ts'
import type { TableQueueOptions } from '../../actors/tableQueue.ts'
import type { WebhookOptions } from '../../actors/webhook.ts'
import type { Credit } from '../../machines/driver.ts'
import type { SourceKind } from '../../machines/event.ts'
import type { ControllerDefinition, HandlerDefinition, HandlerOptions } from '../define.ts'
import type { LiveSecrets } from './liveSecrets.ts'

/** A configuration after all checks: every default in place, every duration in ms, every `env` reference read. */
export interface ResolvedConfig {
  readonly sources: Readonly<Record<string, ResolvedSource>>
  readonly handlers: readonly ResolvedHandler[]
  readonly concurrency: number
  readonly longConcurrency: number
  readonly shutdownTimeoutMs: number
  readonly preStopDelayMs: number
  readonly lockWaitMs: number
  readonly codeVersion: string
  readonly journal: {
    /** Absent: the embedded PostgreSQL in `.koksmat/` of the working folder. */
    readonly url?: string
    readonly schema: string
    readonly migrate: boolean
  }
  readonly prepare?: NonNullable<ControllerDefinition['prepare']>
  readonly webhooks: { readonly host: string; readonly port: number }
  readonly admin: {
    readonly host: string
    readonly port: number
    /** None: whoever reaches the port may operate. Only `read`: nobody may. */
    readonly tokens: { readonly operate?: string; readonly read?: string }
  }
  /** On the admin port, with its tokens. */
  readonly inspector: { readonly on: boolean }
  readonly log: { readonly level: string; readonly format: 'json' | 'pretty' }
}

export type ResolvedSource = { readonly kind: SourceKind; readonly credit: Credit } & (
  | { readonly driver: 'rabbitmq'; readonly options: RabbitmqOptions }
  | { readonly driver: 'kafka'; readonly options: KafkaOptions }
  | { readonly driver: 'tableQueue'; readonly options: TableQueueOptions }
  | { readonly driver: 'poll'; readonly options: PollOptions }
  | {
      readonly driver: 'webhook'
      readonly options: WebhookOptions
      /** Behind the signature of the options; absent where it is unsigned. */
      readonly secrets?: LiveSecrets
    }
)

export interface ResolvedHandler {
  /** An exact type, or a prefix and `.*`; `*` alone matches all. */
  readonly type: string
  /** Absent: ignore. */
  readonly handle?: HandlerDefinition['handle']
  readonly schema?: HandlerOptions['schema']
  readonly key?: HandlerOptions['key']
  readonly retry: {
    readonly attempts: number
    readonly inPlace: number
    readonly backoffMs: number
    readonly maxBackoffMs: number
  }
  /** Absent for `long` handlers without one. */
  readonly timeoutMs?: number
  /** Absent: no dedup of its own (webhooks have it at their door). */
  readonly dedupMs?: number
  /** Name of the lock. */
  readonly lock?: string
  readonly long: boolean
}
