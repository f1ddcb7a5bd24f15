import type { ArrivedEvent, SourceKind } from '../machines/event.ts'
import type { Queryable } from '../machines/journal.ts'
import type { StandardSchemaV1 } from './standardSchema.ts'

/**
 * What a user writes: `defineController`, `on` and `ignore`. Everything here only describes; nothing connects.
 */

/** A length of time: `'500ms'`, `'5s'`, `'10m'`, `'24h'`, `'7d'`. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** A value read from the environment (or the file that `<NAME>_FILE` names) when the controller starts. See `env`. */
export interface EnvReference {
  readonly env: string
  readonly fallback?: string
}

/** One configured input, made by `rabbitmq`, `kafka`, `tableQueue`, `poll` or `webhook`. */
export interface SourceDefinition {
  readonly driver: 'rabbitmq' | 'kafka' | 'tableQueue' | 'poll' | 'webhook'
  readonly kind: SourceKind
  /** As the user wrote them; checked when the controller starts, all problems at once. */
  readonly options: object
}

export interface ControllerDefinition {
  readonly sources: Readonly<Record<string, SourceDefinition>>
  readonly handlers: readonly HandlerDefinition[]
  /** Handlers running at once (default 16). 1: strictly one after the other, in order of arrival. */
  readonly concurrency?: number
  /** `long` handlers running at once, beside the others (default 8). */
  readonly longConcurrency?: number
  /** From the first signal to the exit, in all (default `25s`): three quarters to drain, the rest to abort and close. */
  readonly shutdownTimeout?: Duration
  /** Between the first signal and the drain, while events are still taken (default `0s`; `5s` in Kubernetes). */
  readonly preStopDelay?: Duration
  /** How long an atomic handler waits for its lock (default `30s`). */
  readonly lockWait?: Duration
  /** Names the running code in the history of failed attempts (default: `version` of the nearest package.json). */
  readonly codeVersion?: string
  readonly journal?: {
    /** Default: `DATABASE_URL`, and without it the embedded PostgreSQL. */
    readonly url?: string | EnvReference
    /** Default `koksmat`. */
    readonly schema?: string
    /** Apply pending migrations at start (default true). */
    readonly migrate?: boolean
  }
  /**
   * Runs at each start in one transaction on the journal's database, when the journal is open and before the first
   * source connects. For a demo or a development database that makes its own tables: it has to be safe to run again, and
   * on several replicas. Elsewhere tables belong to the migrations of the application that owns them.
   */
  readonly prepare?: (database: Queryable) => Promise<unknown>
}

export interface HandlerDefinition {
  /** An event type, or a prefix and `.*`. */
  readonly type: string
  readonly options: HandlerOptions
  /** Absent: events of this type are acknowledged and dropped (`ignore`). */
  readonly handle?: (event: ArrivedEvent<string, never>, context: AnyContext) => unknown
}

export interface HandlerOptions {
  /** A Standard Schema (zod, valibot, arktype …): types `event.data` and checks it; what does not fit is parked. */
  readonly schema?: StandardSchemaV1
  /** Events with the same key are handled in order of arrival. Default: the event's `partitionkey`. */
  readonly key?: (event: ArrivedEvent<string, never>) => string | undefined
  readonly retry?: RetryOptions
  /** Default `30s`; none for `long`. */
  readonly timeout?: Duration
  /** Remember handled ids and drop duplicates. Atomic handlers and webhooks always do (`7d`). */
  readonly dedup?: Duration
  /** Run alone under this lock and inside one Postgres transaction. `true`: the controller's one mutex. */
  readonly atomic?: string | true
  /** Runs long: the event moves to the journal and its source is settled at once. */
  readonly long?: true
}

export interface RetryOptions {
  /** Runs in all (default 5). */
  readonly attempts?: number
  /** Of those, how many retries happen at once and in place, holding the lane (default 1). */
  readonly inPlace?: number
  /** Before the first delayed retry (default `1s`); doubled each time, full jitter. */
  readonly backoff?: Duration
  /** Default `60s`. */
  readonly maxBackoff?: Duration
}

/** A line of the log: `log.info({ total }, 'order taken')`, or the message alone, or the fields. It never throws. */
export interface LogLine {
  (message: string): void
  (fields: object, message?: string): void
}

export interface HandlerLog {
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
}

export interface HandlerContext {
  /** Each line says the type and the id of the event. Log no payloads. */
  readonly log: HandlerLog
  /** Aborts at the handler's timeout, and when a shutdown runs out of time. */
  readonly signal: AbortSignal
  /** 1 for the first run. */
  readonly attempt: number
  /** A new event, put into the journal together with the settlement of this one. */
  emit(type: string, data: unknown, options?: EmitOptions): void
  /** A number shared by all replicas; added to once, together with the settlement of this event. */
  counter(name: string): { add(n: number): void }
}

export interface EmitOptions {
  readonly id?: string
  readonly key?: string
  readonly subject?: string
  readonly delay?: Duration
}

export interface AtomicContext extends HandlerContext {
  /** The transaction that also holds the settlement; it commits or rolls back with the handler. */
  readonly tx: Queryable
}

export interface LongContext<Checkpoint = unknown> extends HandlerContext {
  /** Aborts when a drain begins: save a checkpoint and return soon, or let `signal` interrupt you. */
  readonly draining: AbortSignal
  /** Shown in `status`. 0 to 1, or anything that JSON can say, of which the first 4,096 characters are shown. */
  progress(value: unknown): void
  /** What the last run saved. */
  readonly checkpoint: Checkpoint | undefined
  /** Durable when it resolves; the next run finds it, also after a kill. */
  saveCheckpoint(data: Checkpoint): Promise<void>
}

export type AnyContext = AtomicContext & LongContext

/** The types a rule is for: `order.*` is for `order.created` and whatever else begins so. */
type Matching<Type extends string> = Type extends '*'
  ? string
  : Type extends `${infer Prefix}.*`
    ? `${Prefix}.${string}`
    : Type

type DataOf<Schema> = Schema extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<Schema> : unknown

type ContextOf<Atomic, Long> = Atomic extends string | true
  ? AtomicContext
  : Long extends true
    ? LongContext
    : HandlerContext

/** `HandlerOptions` with what the compiler learns from them; each in a parameter of its own, or `key` hides the schema. */
interface TypedOptions<Type extends string, Schema, Atomic, Long>
  extends Omit<HandlerOptions, 'schema' | 'key' | 'atomic' | 'long'> {
  readonly schema?: Schema
  readonly key?: (event: ArrivedEvent<Matching<Type>, DataOf<Schema>>) => string | undefined
  readonly atomic?: Atomic
  readonly long?: Long
}

/**
 * A handler for events of a type, or of all types under a prefix (`order.*`). The most exact rule wins.
 *
 * With `schema` the payload is typed and checked, with `atomic` the context has `tx`, with `long` it has `progress`,
 * `checkpoint` and `draining`.
 */
export function on<Type extends string>(
  type: Type,
  handle: (event: ArrivedEvent<Matching<Type>>, context: HandlerContext) => unknown,
): HandlerDefinition
export function on<
  Type extends string,
  Schema extends StandardSchemaV1 | undefined = undefined,
  Atomic extends string | true | undefined = undefined,
  Long extends true | undefined = undefined,
>(
  type: Type,
  options: TypedOptions<Type, Schema, Atomic, Long>,
  handle: (event: ArrivedEvent<Matching<Type>, DataOf<Schema>>, context: ContextOf<Atomic, Long>) => unknown,
): HandlerDefinition
export function on(type: string, ...rest: unknown[]): HandlerDefinition {
  const [options, handle] = (rest.length === 1 ? [{}, rest[0]] : rest) as [
    HandlerOptions,
    NonNullable<HandlerDefinition['handle']>,
  ]
  return { type, options, handle }
}

/** Events of this type (or `prefix.*`) are acknowledged and dropped instead of parked. */
export const ignore = (type: string): HandlerDefinition => ({ type, options: {} })

/** The whole of a controller, as `controller.config.ts` exports it by default. */
export const defineController = (definition: ControllerDefinition): ControllerDefinition => definition

/** Reads `NAME` from the environment, or the file that `NAME_FILE` names, when the controller starts. */
export const env = (name: string, fallback?: string): EnvReference =>
  fallback === undefined ? { env: name } : { env: name, fallback }
