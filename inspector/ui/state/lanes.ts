import type { ActorView } from '../../protocol/actors.ts'
import type { Entry } from './log.ts'

/**
 * The lanes of the sequence diagram, in the order of the tree. Children of one parent that run the same logic share a
 * lane when there are many of them, as short-lived ones do; what came from outside has the first lane.
 */
export interface Lane {
  readonly key: string
  readonly name: string
  /** The parent, where the name alone does not say whose it is. */
  readonly of: string | undefined
}

export interface Lanes {
  readonly lanes: readonly Lane[]
  /** Index of the lane of an actor. */
  of(sessionId: string | undefined): number
}

const shareFrom = 4

export const lanesOf = (entries: readonly Entry[], view: (sessionId: string) => ActorView | undefined): Lanes => {
  const seen = new Set<string | undefined>()
  for (const { kind, sessionId, sourceId } of entries) {
    if (kind === 'gap') continue
    seen.add(sessionId)
    if (kind === 'event') seen.add(sourceId)
  }
  const kin = new Map<string, number>()
  for (const id of seen) {
    const key = kinOf(id, view)
    kin.set(key, (kin.get(key) ?? 0) + 1)
  }
  const keyOf = (id: string | undefined): string => {
    if (id === undefined) return 'outside'
    const key = kinOf(id, view)
    return (kin.get(key) ?? 0) >= shareFrom ? key : id
  }

  const found = new Map<string, { lane: Lane; order: readonly string[] }>()
  for (const id of seen) {
    const key = keyOf(id)
    if (found.has(key)) continue
    const actor = id === undefined ? undefined : view(id)
    const shared = key !== id && id !== undefined
    const name = shared ? `${actor?.src ?? actor?.id ?? id} × ${kin.get(key)}` : (actor?.id ?? id ?? 'outside')
    const parent = actor?.parentId === undefined ? undefined : view(actor.parentId)
    const of = parent?.parentId === undefined ? undefined : parent.id
    found.set(key, { lane: { key, name, of }, order: id === undefined ? [] : orderOf(id, view) })
  }
  const lanes = [...found.values()].toSorted((one, other) => compare(one.order, other.order)).map(({ lane }) => lane)
  const index = new Map(lanes.map(({ key }, i) => [key, i]))
  return { lanes, of: (id) => index.get(keyOf(id)) ?? 0 }
}

const kinOf = (id: string | undefined, view: (sessionId: string) => ActorView | undefined): string => {
  const actor = id === undefined ? undefined : view(id)
  return actor === undefined ? `${id}` : `${actor.parentId ?? ''} ${actor.src ?? actor.id}`
}

/** Ids from the root down, so that children stand beside their parent. */
const orderOf = (id: string, view: (sessionId: string) => ActorView | undefined): readonly string[] => {
  const actor = view(id)
  if (actor === undefined) return [id]
  return [...(actor.parentId === undefined ? [] : orderOf(actor.parentId, view)), id.padStart(12, '0')]
}

const compare = (one: readonly string[], other: readonly string[]): number => {
  for (let i = 0; i < Math.max(one.length, other.length); i++) {
    const [left = '', right = ''] = [one[i], other[i]]
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}
