import type { AnyActorRef, InspectionEvent } from 'xstate'
import { type ActorRecord, type Actors, createActors } from './actors.ts'
import { createDefinitions, type Definitions, type Fired } from './definition.ts'
import { messageOf, type Pending } from './messages.ts'
import type { ActorState, Message } from './protocol/actors.ts'
import type { Watch } from './protocol.ts'
import { createQuota } from './quota.ts'
import { createRing, type Ring } from './ring.ts'
import type { Serialize } from './serialize.ts'

/**
 * Sees what happens in one actor system, for those who watch it.
 *
 * ```
 *   detached ──a viewer watches anything──▸ attached: walk the tree, observe
 *       ◂──────no viewer watches anything──    in the turn of an actor: references into `pending`, nothing else
 *                                              each 100 ms, at once after a failure: messages from them, to the viewers
 * ```
 *
 * Nothing here throws into the turn of an actor: XState would lock its mailbox for ever. Values are only held until the
 * next batch; what is kept longer is text.
 */
export interface Collector {
  /** @throws when all seats are taken */
  add(deliver: (batch: Collected) => void): Seat
  readonly actors: Actors
  readonly definitions: Definitions
  /** What was seen while somebody looked, oldest first. */
  readonly recent: Ring<Entry>
  /** The actors as they are now, also while nothing is attached. */
  refresh(): void
  find(sessionId: string): AnyActorRef | undefined
  seq(): number
  seats(): number
  /** Inspection observers on the actor system: 0 or 1. */
  observers(): number
  /** Things seen since the last call. */
  takeSeen(): { readonly events: number; readonly snapshots: number; readonly failures: number }
  close(): void
}

export interface Seat {
  watch(watch: Watch): void
  watching(): boolean
  leave(): void
}

/** One message, made once for all viewers. */
export interface Entry {
  readonly message: Message
  readonly text: string
}

export interface Collected {
  readonly t: number
  readonly seq: number
  readonly entries: readonly Entry[]
  readonly sampledOut: number
  readonly states: Readonly<Record<string, ActorState>>
}

export interface CollectorOptions {
  readonly root: AnyActorRef
  readonly serialize: Serialize
  readonly bounds: Bounds
  /** Whether an event tells of a failure, beyond errors of XState and events with an `error`. */
  readonly isFailure: (event: { readonly type: string }) => boolean
  /** Something of the inspector itself failed; the actors are not touched by it. */
  onError(thrown: unknown): void
}

export interface Bounds {
  /** Messages kept for `hello` (default 2,000). */
  readonly recent: number
  /** Messages of a batch and viewer (default 400); failures beyond ten times as many are left out too. */
  readonly batch: number
  /** Characters of all messages of a batch (default 524,288). */
  readonly batchSize: number
  /** Ended actors that are remembered (default 200). */
  readonly ended: number
  /** Viewers at a time (default 8, at most 30). */
  readonly viewers: number
  /** Between two batches (default 100 ms). */
  readonly batchMs: number
}

export const defaultBounds: Bounds = {
  recent: 2_000,
  batch: 400,
  batchSize: 524_288,
  ended: 200,
  viewers: 8,
  batchMs: 100,
}

const nothing: Watch = { type: 'watch', events: 'none', snapshots: 'none', states: false }
const recentSize = 524_288
const urgentMs = 20
const mostRan = 20
const mostSnapshots = 100

interface Viewer {
  readonly bit: number
  readonly slot: number
  watch: Watch
  deliver(batch: Collected): void
}

export const createCollector = (options: CollectorOptions): Collector => {
  const { root, serialize, bounds, isFailure, onError } = options
  const definitions = createDefinitions()
  const viewers = new Set<Viewer>()
  const quota = createQuota(bounds.viewers, bounds.batch)
  const recent = createRing<Entry>(bounds.recent, recentSize, ({ text }) => text.length)
  const moved = new Set<ActorRecord>()
  let pending: Pending[] = []
  let seen = { events: 0, snapshots: 0, failures: 0 }
  let seq = 0
  let subscription: { unsubscribe(): void } | undefined
  let detachedAt: number | undefined
  let timer: NodeJS.Timeout | undefined
  let urgent = false
  let flushedAt = 0
  let allMask = 0

  const setMasks = (record: ActorRecord): void => {
    record.eventMask = 0
    record.snapshotMask = 0
    for (const { bit, watch } of viewers) {
      if (selects(watch.events, record.sessionId)) record.eventMask |= bit
      if (selects(watch.snapshots, record.sessionId)) record.snapshotMask |= bit
    }
  }
  const actors = createActors({ root, definitions, serialize, keepEnded: bounds.ended, onNew: setMasks })

  const plan = (soon: boolean): void => {
    if (urgent || (timer !== undefined && !soon)) return
    urgent = soon
    clearTimeout(timer)
    const wait = soon ? Math.max(0, flushedAt + urgentMs - Date.now()) : bounds.batchMs
    timer = setTimeout(() => guarded(flush), wait).unref()
  }

  const note = (item: Pending): void => {
    if (item.mask === 0) return
    pending.push(item)
    plan(item.failed)
  }

  const observe = (inspected: InspectionEvent): void => {
    try {
      take(inspected)
    } catch (thrown) {
      onError(thrown)
    }
  }

  const take = (inspected: InspectionEvent): void => {
    const ref = inspected.actorRef as AnyActorRef
    const at = Date.now()
    if (inspected.type === '@xstate.actor') {
      const record = actors.of(ref, at)
      note({ as: 'actor', seq: ++seq, at, record, mask: quota.take(allMask, false), failed: false })
      return
    }
    const record = actors.of(ref)
    switch (inspected.type) {
      case '@xstate.event': {
        const { event, sourceRef } = inspected
        const failed = tellsOfFailure(event)
        seen.events++
        if (failed) seen.failures++
        const mask = quota.take(record.eventMask, failed)
        const sourceId = (sourceRef as AnyActorRef | undefined)?.sessionId
        note({ as: 'event', seq: ++seq, at, record, mask, failed, event, sourceId })
        break
      }
      case '@xstate.snapshot':
        seen.snapshots++
        record.moved = { seq: ++seq, at, snapshot: inspected.snapshot, by: inspected.event }
        moved.add(record)
        if (inspected.snapshot.status !== 'active') end(record, inspected.snapshot, at)
        plan(false)
        break
      case '@xstate.action':
        if (record.eventMask !== 0 && record.ran.length < mostRan) record.ran.push(inspected.action.type)
        break
      case '@xstate.microstep': {
        if (record.eventMask === 0) break
        const ran = record.ran
        record.ran = []
        const fired: unknown = inspected._transitions
        if (!Array.isArray(fired)) break
        for (const each of fired as readonly Fired[]) {
          const mask = quota.take(record.eventMask, false)
          note({ as: 'transition', seq: ++seq, at, record, mask, failed: false, fired: each, ran, by: inspected.event })
        }
        break
      }
    }
  }

  const end = (record: ActorRecord, snapshot: { status: string; error?: unknown }, at: number): void => {
    if (record.endedAt !== undefined) return
    actors.ended(record, at)
    if (snapshot.status !== 'error') return
    seen.failures++
    note({ as: 'error', seq: ++seq, at, record, mask: quota.take(allMask, true), failed: true, error: snapshot.error })
  }

  const tellsOfFailure = (event: { readonly type: string; readonly error?: unknown }): boolean => {
    try {
      return event.type.startsWith('xstate.error.') || event.error !== undefined || isFailure(event)
    } catch {
      return true
    }
  }

  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    urgent = false
    flushedAt = Date.now()
    const items = pending
    pending = []
    const states: Record<string, ActorState> = {}
    const snapshots: Pending[] = []
    let looked = 0
    for (const record of moved) {
      const told = looked < bounds.batch
      if (told) {
        looked++
        guarded(() => tellState(record, states))
      }
      if (snapshots.length < mostSnapshots) {
        const { moved: last, snapshotMask: mask } = record
        record.moved = undefined
        const failed = (last?.snapshot as { status?: unknown } | undefined)?.status === 'error'
        if (last !== undefined && mask !== 0) snapshots.push({ as: 'snapshot', record, mask, failed, ...last })
      }
      if (told && record.moved === undefined) moved.delete(record)
    }
    if (moved.size > 0) plan(false)
    // Snapshots first: the last one of an actor is not followed by another.
    const made = make([...snapshots, ...items])
    for (const viewer of viewers) guarded(() => send(viewer, made, states))
    quota.renew()
  }

  const tellState = (record: ActorRecord, states: Record<string, ActorState>): void => {
    const state = actors.state(record)
    const told = `${state.status} ${state.active?.join() ?? ''} ${state.tags?.join() ?? ''}`
    if (told === record.told) return
    record.told = told
    states[record.sessionId] = state
  }

  const make = (items: readonly Pending[]): { readonly entry: Entry; readonly mask: number }[] => {
    let room = bounds.batchSize
    const made: { entry: Entry; mask: number }[] = []
    for (const item of items) {
      if (room <= 0 && !item.failed) {
        quota.leaveOut(item.mask)
        continue
      }
      guarded(() => {
        const message = messageOf(item, { actors, definitions, serialize, tight: room <= 0 })
        const text = JSON.stringify(message)
        room -= text.length
        made.push({ entry: { message, text }, mask: item.mask })
      })
    }
    made.sort((a, b) => a.entry.message.seq - b.entry.message.seq)
    for (const { entry } of made) recent.push(entry)
    return made
  }

  const send = (viewer: Viewer, made: readonly { entry: Entry; mask: number }[], states: Collected['states']): void => {
    const entries = made.filter(({ mask }) => (mask & viewer.bit) !== 0).map(({ entry }) => entry)
    const sampledOut = quota.leftOut(viewer.slot)
    const told = viewer.watch.states ? states : {}
    if (entries.length === 0 && sampledOut === 0 && Object.keys(told).length === 0) return
    viewer.deliver({ t: flushedAt, seq, entries, sampledOut, states: told })
  }

  const guarded = (run: () => void): void => {
    try {
      run()
    } catch (thrown) {
      onError(thrown)
    }
  }

  const attach = (): void => {
    if (subscription !== undefined) return
    actors.walk()
    for (const record of actors.all.values()) tellState(record, {})
    subscription = root.system.inspect(observe)
    if (detachedAt === undefined) return
    const gap: Message = { type: 'gap', seq: ++seq, at: Date.now(), sessionId: root.sessionId, since: detachedAt }
    recent.push({ message: gap, text: JSON.stringify(gap) })
  }

  const detach = (): void => {
    if (subscription === undefined) return
    subscription.unsubscribe()
    subscription = undefined
    detachedAt = Date.now()
    clearTimeout(timer)
    timer = undefined
    urgent = false
    pending = []
    moved.clear()
  }

  const changed = (): void => {
    allMask = 0
    for (const { bit, watch } of viewers) if (isWatching(watch)) allMask |= bit
    if (allMask === 0) detach()
    else attach()
    for (const record of actors.all.values()) setMasks(record)
  }

  return {
    actors,
    definitions,
    recent,
    seq: () => seq,
    seats: () => viewers.size,
    observers: () => (subscription === undefined ? 0 : 1),
    refresh: () => {
      if (subscription === undefined) actors.walk()
    },
    find: (sessionId) => {
      if (subscription === undefined) actors.walk()
      const record = actors.all.get(sessionId)
      return record === undefined || record.endedAt !== undefined ? undefined : record.ref
    },
    takeSeen: () => {
      const taken = seen
      seen = { events: 0, snapshots: 0, failures: 0 }
      return taken
    },
    add: (deliver) => {
      const taken = new Set([...viewers].map(({ slot }) => slot))
      const slot = Array.from({ length: bounds.viewers }, (_, i) => i).find((i) => !taken.has(i))
      if (slot === undefined) throw new Error('All seats are taken.')
      const viewer: Viewer = { slot, bit: 1 << slot, watch: nothing, deliver }
      viewers.add(viewer)
      return {
        watching: () => isWatching(viewer.watch),
        watch: (watch) => {
          if (!viewers.has(viewer)) return
          viewer.watch = watch
          changed()
        },
        leave: () => {
          if (viewers.delete(viewer)) changed()
        },
      }
    },
    close: () => {
      viewers.clear()
      changed()
    },
  }
}

const selects = (selection: Watch['events'], sessionId: string): boolean =>
  selection === 'all' || (selection !== 'none' && selection.includes(sessionId))

const isWatching = ({ events, snapshots, states }: Watch): boolean =>
  states || events === 'all' || snapshots === 'all' || isSome(events) || isSome(snapshots)

const isSome = (selection: Watch['events']): boolean => Array.isArray(selection) && selection.length > 0
