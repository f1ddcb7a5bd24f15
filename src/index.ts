/** The public API of koksmat-controller. */

export { ControllerError, type ErrorCode, errorCodes } from '../machines/errors.ts'
export type { ArrivedEvent, EventKind, SourceKind } from '../machines/event.ts'
export type { Parked, ParkedEvent, ParkedFilter, ParkedSummary, Queryable } from '../machines/journal.ts'
export type { Probes } from './admin/target.ts'
export type { Controller } from './controller.ts'
export {
  type AtomicContext,
  type ControllerDefinition,
  type Duration,
  defineController,
  type EmitOptions,
  type EnvReference,
  env,
  type HandlerContext,
  type HandlerDefinition,
  type HandlerLog,
  type HandlerOptions,
  ignore,
  type LogLine,
  type LongContext,
  on,
  type RetryOptions,
  type SourceDefinition,
} from './define.ts'
export { type StartOptions, startController } from './library.ts'
export {
  type BasicOptions,
  basic,
  bearer,
  github,
  type HmacOptions,
  hmac,
  type Secret,
  type Secrets,
  type SignatureDefinition,
  shopify,
  slack,
  standardWebhooks,
  stripe,
  svix,
  unsigned,
} from './signatures.ts'
export {
  type ConditionSource,
  type CreditOptions,
  type KafkaSource,
  kafka,
  type PollingOptions,
  poll,
  type RabbitmqDeclaration,
  type RabbitmqSource,
  rabbitmq,
  type TableQueueSource,
  type TriggerSource,
  tableQueue,
  type WebhookSource,
  webhook,
} from './sources.ts'
export type { StandardSchemaV1 } from './standardSchema.ts'
export type { DrainReport, SourceStatus, Status } from './status.ts'
export { version } from './version.ts'
