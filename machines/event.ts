/**
 * The events of the outside world: what a source brings and a handler sees.
 *
 * Shape: CloudEvents 1.0 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md), with `partitionkey`
 * and `traceparent` from its documented extensions, plus two facts of ours: `kind` and `via`.
 */
export const eventKinds = ['queue.event', 'database.trigger', 'webhook.event'] as const

export type EventKind = (typeof eventKinds)[number]

export type SourceKind = 'queue' | 'database' | 'webhook'

export const sourceKindOf: Readonly<Record<EventKind, SourceKind>> = {
  'queue.event': 'queue',
  'database.trigger': 'database',
  'webhook.event': 'webhook',
}

export interface ArrivedEvent<Type extends string = string, Data = unknown> {
  /** Unique within `source`; two events with the same `source` and `id` are the same event. */
  readonly id: string
  /** CloudEvents `source`, a URI reference. Events that came without one get `koksmat:<name of the configured source>`. */
  readonly source: string
  readonly type: Type
  readonly data: Data
  readonly subject?: string
  /** RFC 3339. */
  readonly time?: string
  readonly datacontenttype?: string
  readonly dataschema?: string
  readonly traceparent?: string
  /** The event's own lane: broker record key, queue row key. Events with the same one are handled in order. */
  readonly partitionkey?: string
  /** CloudEvents extensions beyond those above, and transport headers a source was asked to keep. */
  readonly extensions?: Readonly<Record<string, string | number | boolean>>
  readonly kind: EventKind
  /** Name of the configured source that brought it. */
  readonly via: string
  /**
   * False when the id was made up on arrival because the sender gave none: such an event comes again under another id,
   * so duplicates of it cannot be told.
   */
  readonly identified: boolean
}

/** One string for `source` and `id`, as the journal keys dedup marks, live rows and death counts. */
export const identityOf = (event: Pick<ArrivedEvent, 'source' | 'id'>): string => `${event.source} ${event.id}`
