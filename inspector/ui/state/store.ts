import { batch, computed, effect, signal } from '@preact/signals'
import type { SnapshotView } from '../../protocol/actors.ts'
import type { HostStatus } from '../../protocol/controller.ts'
import type { MachineDefinition } from '../../protocol/definition.ts'
import type { Batch, Hello, ServerMessage, Stats } from '../../protocol.ts'
import { createActors } from './actors.ts'
import { actorPath, tab } from './address.ts'
import { createLog } from './log.ts'
import { type LinkState, openWire } from './wire.ts'

/**
 * What the page knows. Actors and log are changed in place, at most once a frame as seen by those who draw: they read
 * `actorsTurn` or `logTurn` first.
 */
export const actors = createActors()
export const log = createLog(5_000)

export const actorsTurn = signal(0)
export const logTurn = signal(0)
export const statsTurn = signal(0)

export const link = signal<LinkState>('connecting')
/** When the connection was lost, by this machine's clock. */
export const lostAt = signal<number | undefined>(undefined)
export const hello = signal<Hello | undefined>(undefined)
export const status = signal<HostStatus | undefined>(undefined)
export const history: Stats[] = []
/** Moves once a second, so that ages grow; by the server's clock. */
export const now = signal(Date.now())

const keepStats = 900
let skewMs = 0

export interface Snapshots {
  readonly sessionId: string
  readonly current: SnapshotView
  readonly before: SnapshotView | undefined
  readonly by: string | undefined
  readonly at: number
}

export const snapshots = signal<Snapshots | undefined>(undefined)
export const definitions = signal<ReadonlyMap<string, MachineDefinition>>(new Map())

/** The transitions of the selected actor that fired, for the chart to flash. */
export const fired = signal<{ readonly sessionId: string; readonly edges: readonly string[] } | undefined>(undefined)

export const mayOperate = computed(() => hello.value?.role === 'operate')
export const knows = (command: Hello['commands'][number]): boolean => hello.value?.commands.includes(command) === true

/** The actor one looks at: the one in the address, otherwise the first root. */
export const selected = computed((): string | undefined => {
  actorsTurn.value
  const path = actorPath.value
  return (path === '' ? undefined : actors.byPath(path)) ?? actors.roots[0]
})

export const select = (sessionId: string): void => {
  actorPath.value = actors.pathOf(sessionId)
}

/** The actor of a source of the controller. */
export const selectSource = (name: string): void => {
  const [root] = actors.roots
  if (root === undefined) return
  actorPath.value = `${actors.pathOf(root)}/source:${name}`
  if (tab.peek() !== 'sequence') tab.value = 'events'
}

const dirty = { actors: false, log: false, scheduled: false }

const announce = (): void => {
  if (dirty.scheduled) return
  dirty.scheduled = true
  const run = (): void => {
    dirty.scheduled = false
    batch(() => {
      if (dirty.actors) actorsTurn.value += 1
      if (dirty.log) logTurn.value += 1
      dirty.actors = false
      dirty.log = false
    })
  }
  if (document.hidden) window.setTimeout(run, 200)
  else requestAnimationFrame(run)
}

const receive = (message: Exclude<ServerMessage, { type: 'ack' }>): void => {
  if (message.type === 'hello') greet(message)
  else if (message.type === 'batch') take(message)
  else if (message.type === 'stats') note(message)
}

const greet = (greeting: Hello): void => {
  const again = hello.peek()?.run === greeting.run
  skewMs = greeting.now - Date.now()
  batch(() => {
    if (!again) {
      log.clear()
      history.length = 0
      snapshots.value = undefined
    }
    hello.value = greeting
    status.value = greeting.status
    lostAt.value = undefined
    actors.replace(greeting.actors)
    for (const message of greeting.recent) log.add(message)
    const newest = history.at(-1)?.t ?? 0
    history.push(...greeting.history.filter(({ t }) => t > newest))
    actorsTurn.value += 1
    logTurn.value += 1
    statsTurn.value += 1
    now.value = Date.now() + skewMs
  })
  for (const hash of greeting.defs) void define(hash)
  watch()
  void look()
}

const take = ({ msgs, sampledOut, states, t }: Batch): void => {
  const edges: string[] = []
  const chosen = selected.peek()
  for (const message of msgs) {
    if (message.type === '@xstate.actor') {
      actors.born(message.actor)
      dirty.actors = true
      if (message.actor.defId !== undefined) void define(message.actor.defId)
    } else if (message.type === '@xstate.snapshot') {
      if (message.sessionId === chosen) showSnapshot(chosen, message.snapshot, message.event.type, message.at)
    } else {
      log.add(message)
      dirty.log = true
      if (message.type === 'transition' && message.sessionId === chosen && message.edge !== undefined) {
        edges.push(message.edge)
      }
    }
  }
  if (sampledOut > 0) {
    log.sampled(sampledOut)
    dirty.log = true
  }
  for (const sessionId in states) {
    const state = states[sessionId]
    if (state !== undefined) actors.moved(sessionId, state, t)
    dirty.actors = true
  }
  if (chosen !== undefined && edges.length > 0) fired.value = { sessionId: chosen, edges: [...new Set(edges)] }
  announce()
}

const note = (stats: Stats): void => {
  history.push(stats)
  if (history.length > keepStats) history.splice(0, history.length - keepStats)
  batch(() => {
    if (stats.status !== undefined) status.value = stats.status
    skewMs = stats.t - Date.now()
    statsTurn.value += 1
  })
}

const showSnapshot = (sessionId: string, current: SnapshotView, by: string | undefined, at: number): void => {
  const last = snapshots.peek()
  snapshots.value = { sessionId, current, before: last?.sessionId === sessionId ? last.current : undefined, by, at }
}

const asked = new Set<string>()

const define = async (hash: string): Promise<void> => {
  if (asked.has(hash)) return
  asked.add(hash)
  const answer = await fetch(`definitions/${encodeURIComponent(hash)}.json`).catch(() => undefined)
  if (answer?.ok !== true) {
    asked.delete(hash)
    return
  }
  const definition = (await answer.json()) as MachineDefinition
  definitions.value = new Map(definitions.peek()).set(hash, definition)
}

export const wire = openWire({
  message: receive,
  state: (state) => {
    if (state !== 'live' && link.peek() === 'live') lostAt.value = Date.now()
    link.value = state
  },
})

/** Says what is to be seen: nothing while the tab is hidden, the snapshot only of the actor one looks at. */
const watch = (): void => {
  const chosen = selected.peek()
  wire.tell(
    document.hidden
      ? { type: 'watch', events: 'none', snapshots: 'none', states: false }
      : { type: 'watch', events: 'all', snapshots: chosen === undefined ? 'none' : [chosen], states: true },
  )
}

/** Asks for the snapshot of the actor one looks at: it may not move for hours. */
const look = async (): Promise<void> => {
  const sessionId = selected.peek()
  if (sessionId === undefined) return
  const ack = await wire.ask({ type: 'snapshot', sessionId })
  if (ack.ok && selected.peek() === sessionId) {
    showSnapshot(sessionId, ack.result as SnapshotView, undefined, now.peek())
  }
}

export const startStore = (token: string | undefined): void => {
  effect(() => {
    selected.value
    watch()
    void look()
  })
  document.addEventListener('visibilitychange', watch)
  window.setInterval(() => {
    now.value = Date.now() + skewMs
  }, 1_000)
  void wire.open(token)
}
