import type { AnyActorRef, Snapshot } from 'xstate'
import { activePaths, type Definitions } from './definition.ts'
import type { ActorState, ActorView, Tagged } from './protocol/actors.ts'
import type { Serialize } from './serialize.ts'

/** What is known of one actor while somebody looks. */
export interface ActorRecord {
  readonly ref: AnyActorRef
  readonly sessionId: string
  readonly startedAt: number | undefined
  endedAt: number | undefined
  /** Bits of the viewers that watch its events, and its snapshots. */
  eventMask: number
  snapshotMask: number
  /** What it did since the batch before. */
  moved: Moved | undefined
  /** Actions that ran since its last transition. */
  ran: string[]
  /** What was last told of its state. */
  told: string
}

export interface Moved {
  seq: number
  at: number
  snapshot: Snapshot<unknown>
  by: { readonly type: string }
}

/** The actors of one system: found by walking when somebody begins to look, kept up by what is seen after that. */
export interface Actors {
  readonly all: ReadonlyMap<string, ActorRecord>
  /** The record of an actor, made where there is none yet. */
  of(ref: AnyActorRef, startedAt?: number): ActorRecord
  /** Makes the records agree with the tree as it is. Returns those that are new. */
  walk(): readonly ActorRecord[]
  ended(record: ActorRecord, at: number): void
  view(record: ActorRecord): ActorView
  state(record: ActorRecord): ActorState
  counts(): { readonly live: number; readonly ended: number }
}

interface Options {
  readonly root: AnyActorRef
  readonly definitions: Definitions
  readonly serialize: Serialize
  readonly keepEnded: number
  /** Called for each new record, to set its masks. */
  onNew(record: ActorRecord): void
}

const mostNext = 50

export const createActors = ({ root, definitions, serialize, keepEnded, onNew }: Options): Actors => {
  const records = new Map<string, ActorRecord>()
  const endings: ActorRecord[] = []

  const of = (ref: AnyActorRef, startedAt?: number): ActorRecord => {
    const known = records.get(ref.sessionId)
    if (known !== undefined) return known
    const record: ActorRecord = {
      ref,
      sessionId: ref.sessionId,
      startedAt,
      endedAt: undefined,
      eventMask: 0,
      snapshotMask: 0,
      moved: undefined,
      ran: [],
      told: '',
    }
    records.set(record.sessionId, record)
    onNew(record)
    return record
  }

  const ended = (record: ActorRecord, at: number): void => {
    if (record.endedAt !== undefined) return
    record.endedAt = at
    endings.push(record)
    if (endings.length > keepEnded) records.delete((endings.shift() as ActorRecord).sessionId)
  }

  const walk = (): readonly ActorRecord[] => {
    const found = new Set<string>()
    const news: ActorRecord[] = []
    const toVisit: AnyActorRef[] = [root]
    for (let ref = toVisit.pop(); ref !== undefined; ref = toVisit.pop()) {
      if (found.has(ref.sessionId)) continue
      found.add(ref.sessionId)
      if (!records.has(ref.sessionId)) news.push(of(ref))
      toVisit.push(...Object.values(childrenOf(ref)).reverse())
    }
    for (const record of records.values()) {
      if (record.endedAt === undefined && !found.has(record.sessionId)) records.delete(record.sessionId)
    }
    return news
  }

  const state = ({ ref }: ActorRecord): ActorState => {
    const snapshot = snapshotOf(ref)
    const { status, value, tags, error } = snapshot
    return {
      status,
      ...(value === undefined ? {} : { active: activePaths(value), next: nextOf(snapshot) }),
      ...(tags instanceof Set && tags.size > 0 ? { tags: [...tags].map(String) } : {}),
      ...(status === 'error' ? { error: taggedOf(serialize(error)) } : {}),
    }
  }

  const view = (record: ActorRecord): ActorView => {
    const { ref, sessionId, startedAt, endedAt } = record
    const { id, src, systemId, _parent: parent } = ref as AnyActorRef & { src?: unknown; systemId?: string }
    const described = definitions.of(logicOf(ref))
    const name = typeof src === 'string' ? src : described?.definition.id
    return {
      sessionId,
      id,
      ...(parent === undefined ? {} : { parentId: parent.sessionId }),
      ...(systemId === undefined ? {} : { systemId }),
      kind: described === undefined ? kindOf(logicOf(ref)) : 'machine',
      ...(name === undefined ? {} : { src: name }),
      ...(described === undefined ? {} : { defId: described.definition.hash }),
      ...(startedAt === undefined ? {} : { startedAt }),
      ...(endedAt === undefined ? {} : { endedAt }),
      ...state(record),
    }
  }

  const counts = () => ({ live: records.size - endings.length, ended: endings.length })
  return { all: records, of, walk, ended, view, state, counts }
}

/** What the snapshots of all kinds of logic may hold. */
interface AnySeen {
  readonly status: ActorState['status']
  readonly value?: unknown
  readonly tags?: unknown
  readonly error?: unknown
  readonly children?: unknown
  readonly _nodes?: unknown
}

const snapshotOf = (ref: AnyActorRef): AnySeen => ref.getSnapshot() as AnySeen

export const logicOf = (ref: AnyActorRef): unknown => (ref as { logic?: unknown }).logic

const childrenOf = (ref: AnyActorRef): Readonly<Record<string, AnyActorRef>> => {
  const { children } = (snapshotOf(ref) ?? {}) as AnySeen
  return typeof children === 'object' && children !== null ? (children as Record<string, AnyActorRef>) : {}
}

const nextOf = ({ _nodes: nodes }: AnySeen): readonly string[] => {
  if (!Array.isArray(nodes)) return []
  const types = new Set(nodes.flatMap(({ ownEvents }: { ownEvents?: readonly string[] }) => ownEvents ?? []))
  return [...types].slice(0, mostNext)
}

export const taggedOf = (json: ReturnType<Serialize>): Tagged =>
  typeof json === 'object' && json !== null && '$' in json ? (json as Tagged) : { $: 'thrown', value: json }

/** Logic does not say what made it; its transition function is that of its maker. */
const kindOf = (logic: unknown): ActorView['kind'] => {
  const { transition } = (logic ?? {}) as { transition?: unknown }
  if (typeof transition !== 'function') return 'other'
  const known = kinds.get(logic as object)
  if (known !== undefined) return known
  const text = Function.prototype.toString.call(transition)
  const kind = /PROMISE/i.test(text)
    ? 'promise'
    : /OBSERVABLE/i.test(text)
      ? 'observable'
      : /callback/i.test(text) || /\.receivers/.test(text)
        ? 'callback'
        : /context:/.test(text)
          ? 'transition'
          : 'other'
  kinds.set(logic as object, kind)
  return kind
}

const kinds = new WeakMap<object, ActorView['kind']>()
