import type { ActorState, ActorView } from '../../protocol/actors.ts'

/** The actors as a tree, in the order in which they were born. */
export interface Actors {
  readonly size: number
  readonly live: number
  get(sessionId: string): ActorView | undefined
  children(sessionId: string): readonly string[]
  readonly roots: readonly string[]
  /** Ids from the root to the actor, joined by slashes: the same after a restart, so that links keep working. */
  pathOf(sessionId: string): string
  byPath(path: string): string | undefined
  nameOf(sessionId: string | undefined): string
  born(actor: ActorView): void
  moved(sessionId: string, state: ActorState, at: number): void
  replace(actors: readonly ActorView[]): void
}

const keepEnded = 200

export const createActors = (): Actors => {
  let views = new Map<string, ActorView>()
  let below = new Map<string, string[]>()
  let roots: string[] = []
  let ended: string[] = []

  const isRoot = ({ parentId }: ActorView): boolean => parentId === undefined || !views.has(parentId)

  const born = (actor: ActorView): void => {
    const known = views.has(actor.sessionId)
    views.set(actor.sessionId, actor)
    if (known) return
    if (isRoot(actor)) roots.push(actor.sessionId)
    else {
      const siblings = below.get(actor.parentId ?? '')
      if (siblings === undefined) below.set(actor.parentId ?? '', [actor.sessionId])
      else siblings.push(actor.sessionId)
    }
    if (actor.status !== 'active') noteEnd(actor.sessionId)
  }
  const noteEnd = (sessionId: string): void => {
    ended.push(sessionId)
    while (ended.length > keepEnded) {
      const oldest = ended.shift()
      if (oldest !== undefined) forget(oldest)
    }
  }
  const forget = (sessionId: string): void => {
    const view = views.get(sessionId)
    if (view === undefined || (below.get(sessionId)?.length ?? 0) > 0) return
    views.delete(sessionId)
    below.delete(sessionId)
    const siblings = below.get(view.parentId ?? '') ?? roots
    const at = siblings.indexOf(sessionId)
    if (at >= 0) siblings.splice(at, 1)
  }
  const pathOf = (sessionId: string): string => {
    const view = views.get(sessionId)
    if (view === undefined) return ''
    return isRoot(view) ? view.id : `${pathOf(view.parentId ?? '')}/${view.id}`
  }

  return {
    get size() {
      return views.size
    },
    get live() {
      return views.size - ended.length
    },
    get: (sessionId) => views.get(sessionId),
    children: (sessionId) => below.get(sessionId) ?? [],
    get roots() {
      return roots
    },
    pathOf,
    byPath: (path) => [...views.keys()].reverse().find((sessionId) => pathOf(sessionId) === path),
    nameOf: (sessionId) => (sessionId === undefined ? 'outside' : (views.get(sessionId)?.id ?? sessionId)),
    born,
    moved: (sessionId, state, at) => {
      const view = views.get(sessionId)
      if (view === undefined) return
      const ends = view.status === 'active' && state.status !== 'active'
      views.set(sessionId, { ...view, ...state, ...(ends ? { endedAt: at } : {}) })
      if (ends) noteEnd(sessionId)
    },
    replace: (actors) => {
      views = new Map()
      below = new Map()
      roots = []
      ended = []
      for (const actor of actors) born(actor)
    },
  }
}

/** What the tree says beside a name: the innermost active states, or how it ended. */
export const stateText = ({ status, active }: ActorState): string => {
  if (status !== 'active') return status
  if (active === undefined || active.length === 0) return ''
  return active.filter((path) => !active.some((other) => other.startsWith(`${path}.`))).join(' · ')
}
