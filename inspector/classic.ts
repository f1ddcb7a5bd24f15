import { type ActorRecord, logicOf } from './actors.ts'
import type { Collector, Entry } from './collector.ts'
import type { Commander } from './commands.ts'
import { snapshotView } from './messages.ts'
import type { Json, SnapshotView } from './protocol/actors.ts'
import type { MachineDefinition, StateDefinition, TransitionDefinition } from './protocol/definition.ts'
import { defaultLimits, type Serialize } from './serialize.ts'
import type { Speak } from './sockets.ts'

/**
 * `/inspector/classic`: the protocol of `@xstate/inspect` 0.8, whose viewers know XState 4. Machines and states are said
 * in the words of version 4; other actors have none and are left out.
 *
 * ```
 * viewer ── xstate.inspecting ──────────▸ server
 *        ◂─ service.register … ──────────   each live machine
 *        ◂─ service.event, service.state, service.stop
 *        ── xstate.event {event, service} ▸ as `send` of the page: its role decides
 * ```
 */
interface Options {
  readonly collector: Collector
  readonly commander: Commander
  readonly serialize: Serialize
}

export const createClassicSpeaker = ({ collector, commander, serialize }: Options): Speak => {
  const definitionOf = (record: ActorRecord): MachineDefinition | undefined =>
    collector.definitions.of(logicOf(record.ref))?.definition

  const registration = (record: ActorRecord): object | undefined => {
    const definition = definitionOf(record)
    if (definition === undefined) return undefined
    const { sessionId, ref } = record
    const { id, parentId } = collector.actors.view(record)
    const state = snapshotView(ref.getSnapshot(), serialize, defaultLimits)
    return {
      type: 'service.register',
      sessionId,
      id,
      ...(parentId === undefined ? {} : { parent: parentId }),
      machine: JSON.stringify(machineOf(definition)),
      state: JSON.stringify(stateOf(state, { type: 'xstate.init' }, sessionId)),
    }
  }

  const converted = ({ message }: Entry): (object | undefined)[] => {
    const { sessionId } = message
    const record = collector.actors.all.get(sessionId)
    if (record === undefined || definitionOf(record) === undefined) return []
    switch (message.type) {
      case '@xstate.actor':
        return [registration(record)]
      case '@xstate.event':
        return [{ type: 'service.event', sessionId, event: JSON.stringify(scxml(message.event, message.sourceId)) }]
      case '@xstate.snapshot': {
        const state = JSON.stringify(stateOf(message.snapshot, message.event, sessionId))
        const ended = message.snapshot.status !== 'active'
        return [{ type: 'service.state', sessionId, state }, ended ? { type: 'service.stop', sessionId } : undefined]
      }
      default:
        return []
    }
  }

  return ({ visitor, address, send }) => {
    const tell = (message: object | undefined): void => {
      if (message !== undefined) send(JSON.stringify(message))
    }
    const seat = collector.add(({ entries }) => {
      for (const message of entries.flatMap(converted)) tell(message)
    })
    const who = { by: 'inspector', address, session: visitor.session } as const

    const receive = (text: string): void => {
      const { type, event, service } = parsed(text)
      if (type === 'xstate.inspecting') {
        seat.watch({ type: 'watch', events: 'all', snapshots: 'all', states: false })
        for (const record of collector.actors.all.values()) {
          if (record.endedAt === undefined) tell(registration(record))
        }
      } else if (type === 'xstate.event') {
        const { data } = parsed(String(event))
        const asked = JSON.stringify({ type: 'send', id: 'classic', sessionId: service, event: data })
        void commander.receive(asked, { role: visitor.role, who, watch: () => undefined })
      }
    }
    return { receive, left: seat.leave }
  }
}

const parsed = (text: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

const scxml = (event: { readonly type: string }, origin?: string): object => ({
  name: event.type,
  data: event,
  $$type: 'scxml',
  type: 'external',
  ...(origin === undefined ? {} : { origin }),
})

/** What `State.create` of version 4 takes. */
const stateOf = (snapshot: SnapshotView, event: { readonly type: string }, sessionId: string): object => ({
  value: snapshot.value ?? {},
  context: snapshot.context ?? {},
  event,
  _event: scxml(event),
  _sessionid: sessionId,
  actions: [],
  activities: {},
  children: {},
  configuration: [],
  events: [],
  meta: {},
  transitions: [],
  tags: snapshot.tags ?? [],
  changed: true,
  done: snapshot.status !== 'active',
})

/** What `createMachine` of version 4 takes. */
const machineOf = ({ id, root }: MachineDefinition): object => ({ id, ...nodeOf(root, id) })

const nodeOf = (state: StateDefinition, machineId: string): object => {
  const { type, initial, entry, exit, tags, invokes, states, transitions, description } = state
  const groups = Object.groupBy(transitions, ({ kind }) => (kind === 'always' || kind === 'after' ? kind : 'on'))
  const group = (of: readonly TransitionDefinition[], nameOf: (each: TransitionDefinition) => string): Json =>
    Object.fromEntries(
      Object.entries(Object.groupBy(of, nameOf)).map(([name, list = []]) => [
        name,
        list.map((each) => transitionOf(each, machineId)),
      ]),
    )
  return {
    ...(type === 'atomic' || type === 'compound' ? {} : { type }),
    ...(initial === undefined ? {} : { initial: initial.slice(initial.lastIndexOf('.') + 1) }),
    ...(description === undefined ? {} : { description }),
    entry: entry.map(actionOf),
    exit: exit.map(actionOf),
    tags,
    invoke: invokes.map(({ id, src }) => ({ id, src })),
    on: group(groups.on ?? [], ({ event }) => eventOf(event)),
    after: group(groups.after ?? [], ({ event }) => /^xstate\.after\.(.+?)\./.exec(event)?.[1] ?? event),
    always: (groups.always ?? []).map((each) => transitionOf(each, machineId)),
    states: Object.fromEntries(states.map((child) => [child.key, nodeOf(child, machineId)])),
  }
}

const transitionOf = ({ targets, guard, actions, reenter }: TransitionDefinition, machineId: string): Json => ({
  ...(targets.length === 0 ? {} : { target: targets.map((path) => `#${[machineId, path].filter(Boolean).join('.')}`) }),
  ...(guard === undefined ? {} : { cond: guard }),
  actions: actions.map(actionOf),
  internal: !reenter,
})

/** Names of built-in actions mean something else to version 4, which would run them. */
const actionOf = (name: string): string => name.replace(/^xstate\./, '')

const eventOf = (event: string): string =>
  event
    .replace(/^xstate\.done\.actor\./, 'done.invoke.')
    .replace(/^xstate\.error\.actor\./, 'error.platform.')
    .replace(/^xstate\.done\.state\./, 'done.state.')
