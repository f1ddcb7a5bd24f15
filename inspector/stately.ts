import { type ActorRecord, logicOf } from './actors.ts'
import type { Collector, Entry } from './collector.ts'
import { snapshotView } from './messages.ts'
import { defaultLimits, type Serialize } from './serialize.ts'
import type { Speak } from './sockets.ts'

/**
 * `/inspector/stately`: the messages of `@statelyai/inspect`, so that its receivers, and pages fed by them, can look. The
 * package itself stays out of the process; what goes out is redacted and bounded as everything else here.
 *
 * A viewer begins with every actor and its definition, however late it comes, and only listens.
 */
interface Options {
  readonly collector: Collector
  readonly serialize: Serialize
  readonly rootId: string
}

/** The version of the package whose messages these are. */
const version = '0.7.2'
const mostDefinition = 262_144

export const createStatelySpeaker = ({ collector, serialize, rootId }: Options): Speak => {
  const common = (sessionId: string, at: number) => ({
    sessionId,
    rootId,
    createdAt: String(at),
    id: null,
    _version: version,
  })

  const actor = (record: ActorRecord, at: number): object => {
    const { ref, sessionId } = record
    const { id, parentId } = collector.actors.view(record)
    return {
      type: '@xstate.actor',
      ...common(sessionId, at),
      name: id,
      parentId,
      definition: definitionText(logicOf(ref), id),
      snapshot: snapshotView(ref.getSnapshot(), serialize, defaultLimits),
    }
  }

  const converted = ({ message }: Entry): object | undefined => {
    const { sessionId, at } = message
    switch (message.type) {
      case '@xstate.actor': {
        const record = collector.actors.all.get(sessionId)
        return record === undefined ? undefined : actor(record, at)
      }
      case '@xstate.event':
        return { type: message.type, ...common(sessionId, at), event: message.event, sourceId: message.sourceId }
      case '@xstate.snapshot':
        return { type: message.type, ...common(sessionId, at), event: message.event, snapshot: message.snapshot }
      default:
        return undefined
    }
  }

  return ({ send }) => {
    const seat = collector.add(({ entries }) => {
      for (const entry of entries) {
        const message = converted(entry)
        if (message !== undefined) send(JSON.stringify(message))
      }
    })
    seat.watch({ type: 'watch', events: 'all', snapshots: 'all', states: false })
    for (const record of collector.actors.all.values()) {
      if (record.endedAt === undefined) send(JSON.stringify(actor(record, record.startedAt ?? Date.now())))
    }
    return { receive: () => undefined, left: seat.leave }
  }
}

/** The configuration of a machine as text, functions by their names; for other logic its id. */
const definitionText = (logic: unknown, id: string): string => {
  const { config } = (logic ?? {}) as { config?: unknown }
  if (typeof config === 'object' && config !== null) {
    try {
      const text = JSON.stringify(config, (_, value: unknown) => {
        if (typeof value === 'function') return { type: value.name }
        const isLogic = typeof value === 'object' && value !== null && 'transition' in value && value !== config
        return isLogic ? { type: 'inline' } : value
      })
      if (text.length <= mostDefinition) return text
    } catch {
      // A configuration may hold anything; the id is what is left then.
    }
  }
  return JSON.stringify({ id })
}
