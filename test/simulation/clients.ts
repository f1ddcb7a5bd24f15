import type { ArrivedEvent, EventKind } from '../../machines/event.ts'
import type { Kind, Sent } from './book.ts'
import type { Replica } from './replica.ts'
import type { World } from './world.ts'

/** Those who send events. Each hands its event in until it has heard that it was taken, as a good sender does. */
export interface Clients {
  /** Plans so many events over the next `withinMs`. */
  plan(count: number, withinMs: number): void
  allAnswered(): boolean
}

const kinds: readonly (readonly [Kind, weight: number])[] = [
  ['plain', 30],
  ['dedup', 20],
  ['ledger', 20],
  ['stock', 8],
  ['long', 7],
  ['poison', 5],
  ['hang', 4],
  ['killer', 1],
  ['ignored', 3],
  ['nobody', 2],
]
const kindList = kinds.flatMap(([kind, weight]) => Array.from({ length: weight }, () => kind))
const eventKinds: Readonly<Record<string, EventKind>> = {
  orders: 'queue.event',
  tasks: 'queue.event',
  hooks: 'webhook.event',
}
const again = { min: 100, max: 900 }
const patienceMs = 1_500

export const createClients = (world: World, replicas: () => readonly Replica[]): Clients => {
  const { network, book, store, queue } = world
  const { time, chance } = network

  const later = (ms: number, happen: () => void): void => void time.schedule(undefined, ms, happen)

  const heard = (sent: Sent): void => {
    if (sent.acked) return
    sent.acked = true
    book.note(undefined, `acked ${sent.id}`)
  }
  const giveUpUnlessHeard = (sent: Sent, ms: number): void => {
    later(ms, () => {
      if (!sent.acked) send(sent)
    })
  }

  const send = (sent: Sent): void => {
    sent.times++
    book.note(undefined, `sends ${sent.kind} ${sent.id} to ${sent.source}`)
    const event = eventOf(sent)
    if (sent.source === 'orders') {
      later(network.delay(), () => {
        queue.put(event)
        if (chance.is(0.95)) later(network.delay(), () => heard(sent))
      })
      giveUpUnlessHeard(sent, patienceMs)
      return
    }
    if (sent.source === 'tasks') {
      later(network.delay(), () => {
        if (time.now() < world.downUntil) return
        const dueInMs = chance.is(0.2) ? chance.between(0, 500) : 0
        if (store.insert({ event, queue: 'tasks', dueInMs, priority: chance.between(0, 1) }) !== undefined) {
          store.wake('tasks', dueInMs)
        }
        heard(sent)
      })
      giveUpUnlessHeard(sent, patienceMs)
      return
    }
    const open = replicas().filter((replica) => replica.isListening())
    if (open.length === 0) {
      giveUpUnlessHeard(sent, chance.between(again.min, again.max))
      return
    }
    const { process, door } = chance.pick(open)
    time.schedule(process, network.delay(), () => {
      door.take(event).then(
        () => {
          if (process.says()) later(network.delay(), () => heard(sent))
        },
        () => undefined,
      )
    })
    giveUpUnlessHeard(sent, patienceMs + 1_500)
  }

  return {
    plan: (count, withinMs) => {
      for (let no = 1; no <= count; no++) {
        const kind = chance.pick(kindList)
        const sent: Sent = {
          id: `e${no}`,
          kind,
          source: chance.pick(['orders', 'orders', 'tasks', 'hooks']),
          key: chance.is(0.4) ? chance.pick(['k1', 'k2', 'k3']) : undefined,
          failures: chance.is(0.25) ? chance.between(1, 3) : 0,
          acked: false,
          times: 0,
        }
        book.sent.set(sent.id, sent)
        const at = chance.between(0, withinMs)
        later(at, () => send(sent))
        if (chance.is(0.06)) later(at + chance.between(0, 1_000), () => send(sent))
      }
    },
    allAnswered: () => [...book.sent.values()].every(({ acked }) => acked),
  }
}

const eventOf = ({ id, kind, source, key }: Sent): ArrivedEvent => ({
  id,
  source: `sim:${source}`,
  type: kind,
  data: {},
  ...(key === undefined ? {} : { partitionkey: key }),
  kind: eventKinds[source] as EventKind,
  via: source,
  identified: true,
})
