import type { Collected, Collector } from './collector.ts'
import type { Commander } from './commands.ts'
import type { InspectorHost } from './host.ts'
import type { HostStatus } from './protocol/controller.ts'
import { type Hello, protocolVersion, type Role, type ServerMessage, type Watch } from './protocol.ts'
import type { Speak } from './sockets.ts'
import { createStats } from './stats.ts'

/** Speaks the protocol of the page (`protocol.ts`). */
interface Options {
  readonly run: string
  readonly collector: Collector
  readonly commander: Commander
  readonly host: InspectorHost | undefined
  statusOf(): Promise<HostStatus | undefined>
  onError(thrown: unknown): void
}

const mostActors = 2_000

export const createPageSpeaker = (options: Options): Speak => {
  const { run, collector, commander, host, statusOf, onError } = options
  const stats = createStats(collector, statusOf)
  const watching = new Set<(text: string) => void>()

  const changed = (): void => {
    if (watching.size === 0) stats.stop()
    else
      stats.start((taken) => {
        const text = JSON.stringify(taken)
        for (const tell of watching) tell(text)
      })
  }

  const hello = async (role: Role): Promise<Hello> => {
    const status = await statusOf()
    collector.refresh()
    const { actors } = collector
    const records = [...actors.all.values()]
    const live = records.filter(({ endedAt }) => endedAt === undefined)
    const shown = [...live.slice(0, mostActors), ...records.filter(({ endedAt }) => endedAt !== undefined)]
    const views = shown.map(actors.view)
    return {
      type: 'hello',
      v: protocolVersion,
      run,
      now: Date.now(),
      pid: process.pid,
      node: process.version,
      role,
      seq: collector.seq(),
      actors: views,
      actorsLeftOut: Math.max(0, live.length - mostActors),
      defs: [...new Set(views.flatMap(({ defId }) => defId ?? []))],
      recent: [],
      history: stats.history(),
      commands: host?.commands ?? [],
      ...(status === undefined ? {} : { status }),
    }
  }

  return ({ visitor, address, send, close }) => {
    const seat = collector.add((batch) => send(textOfBatch(batch)))
    const tell = (message: ServerMessage): void => send(JSON.stringify(message))
    const greet = async (): Promise<void> => {
      try {
        send(withRecent(await hello(visitor.role), collector))
      } catch (thrown) {
        onError(thrown)
        close(1011, 'internal error')
      }
    }
    let states = false
    const watch = (asked: Watch): void => {
      seat.watch(asked)
      if (asked.states && !states) void greet()
      states = asked.states
      if (seat.watching()) watching.add(send)
      else watching.delete(send)
      changed()
    }
    const who = { by: 'inspector', address, session: visitor.session } as const
    void greet()
    return {
      receive: (text) => {
        void commander.receive(text, { role: visitor.role, who, watch }).then((answer) => {
          if (answer !== undefined) tell(answer)
        })
      },
      left: () => {
        seat.leave()
        watching.delete(send)
        changed()
      },
    }
  }
}

/** Messages are text already: once for all viewers, and for `recent`. */
const textOfBatch = ({ t, seq, entries, sampledOut, states }: Collected): string =>
  `{"type":"batch","t":${t},"seq":${seq},"sampledOut":${sampledOut},"states":${JSON.stringify(states)},"msgs":[${entries
    .map(({ text }) => text)
    .join(',')}]}`

const withRecent = (hello: Hello, collector: Collector): string => {
  const { recent: _, ...others } = hello
  const texts = collector.recent.items().map(({ text }) => text)
  return `${JSON.stringify(others).slice(0, -1)},"recent":[${texts.join(',')}]}`
}
