import type { Snapshot } from 'xstate'
import { type ActorRecord, type Actors, logicOf, taggedOf } from './actors.ts'
import { type Definitions, type Fired, pathOf } from './definition.ts'
import type { EventView, Json, Message, SnapshotView } from './protocol/actors.ts'
import { defaultLimits, type Limits, type Serialize } from './serialize.ts'

/** Something seen, by reference; it becomes a message when its batch is made. */
export type Pending = {
  readonly seq: number
  readonly at: number
  readonly record: ActorRecord
  /** Bits of the viewers that get it. */
  readonly mask: number
  readonly failed: boolean
} & (
  | { readonly as: 'actor' }
  | { readonly as: 'event'; readonly event: { readonly type: string }; readonly sourceId: string | undefined }
  | { readonly as: 'snapshot'; readonly snapshot: Snapshot<unknown>; readonly by: { readonly type: string } }
  | {
      readonly as: 'transition'
      readonly fired: Fired
      readonly ran: readonly string[]
      readonly by: { readonly type: string }
    }
  | { readonly as: 'error'; readonly error: unknown }
)

interface Making {
  readonly actors: Actors
  readonly definitions: Definitions
  readonly serialize: Serialize
  /** The batch is full, and this is a failure: say the least. */
  readonly tight: boolean
}

const tightLimits: Limits = { depth: 4, keys: 20, chars: 512, size: 2_048 }

export const messageOf = (item: Pending, { actors, definitions, serialize, tight }: Making): Message => {
  const { seq, at, record } = item
  const { sessionId } = record
  const limits = tight ? tightLimits : defaultLimits
  const numbered = { seq, at, sessionId }
  const failed = item.failed ? { failed: true as const } : {}
  switch (item.as) {
    case 'actor':
      return { type: '@xstate.actor', ...numbered, actor: actors.view(record) }
    case 'event': {
      const { sourceId } = item
      const event = eventView(item.event, serialize, limits)
      return { type: '@xstate.event', ...numbered, ...(sourceId === undefined ? {} : { sourceId }), event, ...failed }
    }
    case 'snapshot': {
      const snapshot = snapshotView(item.snapshot, serialize, limits)
      return { type: '@xstate.snapshot', ...numbered, event: { type: String(item.by.type) }, snapshot, ...failed }
    }
    case 'error':
      return { type: 'error', ...numbered, error: taggedOf(serialize(item.error, limits)), failed: true }
    case 'transition': {
      const { fired, ran, by } = item
      const described = definitions.of(logicOf(record.ref))
      const edge = described?.edgeOf(fired)
      return {
        type: 'transition',
        ...numbered,
        defId: described?.definition.hash ?? '',
        ...(edge === undefined ? {} : { edge: edge.id }),
        source: fired.source === undefined ? '' : pathOf(fired.source),
        event: String(by.type),
        targets: edge?.targets ?? (fired.target ?? []).map(pathOf),
        ...(edge?.guard === undefined ? {} : { guard: edge.guard }),
        actions: edge?.actions ?? [],
        ...(ran.length === 0 ? {} : { ran }),
      }
    }
  }
}

const eventView = (event: { readonly type: string }, serialize: Serialize, limits: Limits): EventView => {
  const written = serialize(event, limits)
  const type = String(event.type)
  if (typeof written !== 'object' || written === null || Array.isArray(written)) return { type, value: written }
  return '$' in written ? { type, value: written } : { ...(written as { readonly [key: string]: Json }), type }
}

export const snapshotView = (snapshot: Snapshot<unknown>, serialize: Serialize, limits: Limits): SnapshotView => {
  const { status, value, context, output, error, tags } = snapshot as {
    readonly [Key in keyof SnapshotView]?: unknown
  } & { readonly status: SnapshotView['status'] }
  return {
    status,
    ...(value === undefined ? {} : { value: serialize(value, limits) }),
    ...(context === undefined ? {} : { context: serialize(context, limits) }),
    ...(output === undefined ? {} : { output: serialize(output, limits) }),
    ...(error === undefined ? {} : { error: serialize(error, limits) }),
    ...(tags instanceof Set && tags.size > 0 ? { tags: [...tags].map(String) } : {}),
  }
}
