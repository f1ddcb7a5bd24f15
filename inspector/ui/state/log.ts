import type { ErrorMessage, EventMessage, GapMessage, Json, Message, TransitionMessage } from '../../protocol/actors.ts'

/**
 * What has been seen, oldest first: the newest `keep` entries, and as many failures before them. An entry is an event,
 * the death of an actor, or a time in which nobody looked; the transitions that an event caused hang on it.
 */
export interface Entry {
  readonly seq: number
  readonly at: number
  readonly kind: 'event' | 'error' | 'gap'
  readonly type: string
  /** The receiver. */
  readonly sessionId: string
  readonly sourceId: string | undefined
  readonly payload: Json
  readonly failed: boolean
  readonly transitions: TransitionMessage[]
  /** Payload as one line; made when it is needed. */
  text: string | undefined
}

export interface Log {
  readonly entries: readonly Entry[]
  /** Before this one there are only failures. */
  readonly completeFrom: number
  /** Entries ever added, those that have been dropped since included. */
  readonly received: number
  /** What the server left out because there was too much of it. */
  readonly sampledOut: number
  add(message: Message): void
  sampled(count: number): void
  clear(): void
}

export const createLog = (keep: number): Log => {
  let entries: Entry[] = []
  let failuresBefore = 0
  let completeFrom = 0
  let received = 0
  let sampledOut = 0
  let lastSeq = 0
  /** The newest event of each actor: transitions follow their event. */
  const newest = new Map<string, Entry>()

  const put = (entry: Entry): void => {
    entries.push(entry)
    received += 1
    newest.set(entry.sessionId, entry)
    if (entries.length - failuresBefore >= keep * 1.2) shorten()
  }

  const shorten = (): void => {
    const failures = entries.slice(0, -keep).filter(({ failed }) => failed)
    const rest = entries.slice(-keep)
    failuresBefore = Math.min(keep, failures.length)
    completeFrom = rest[0]?.seq ?? 0
    entries = [...failures.slice(-keep), ...rest]
  }

  return {
    get entries() {
      return entries
    },
    get completeFrom() {
      return completeFrom
    },
    get received() {
      return received
    },
    get sampledOut() {
      return sampledOut
    },
    add: (message) => {
      if (message.seq <= lastSeq) return
      lastSeq = message.seq
      if (message.type === '@xstate.event') put(ofEvent(message))
      else if (message.type === 'error') put(ofError(message))
      else if (message.type === 'gap') put(ofGap(message))
      else if (message.type === 'transition') {
        const cause = newest.get(message.sessionId)
        if (cause !== undefined) cause.transitions.push(message)
      }
    },
    sampled: (count) => {
      sampledOut += count
    },
    clear: () => {
      entries = []
      failuresBefore = 0
      completeFrom = 0
      received = 0
      sampledOut = 0
      lastSeq = 0
      newest.clear()
    },
  }
}

const ofEvent = ({ seq, at, sessionId, sourceId, event, failed }: EventMessage): Entry => {
  const { type, ...payload } = event
  return {
    ...{ seq, at, kind: 'event', type, sessionId, sourceId, payload },
    ...{ failed: failed === true, transitions: [], text: undefined },
  }
}

const ofError = ({ seq, at, sessionId, error }: ErrorMessage): Entry => ({
  ...{ seq, at, kind: 'error', type: 'actor died', sessionId, sourceId: undefined, payload: { error } },
  ...{ failed: true, transitions: [], text: undefined },
})

const ofGap = ({ seq, at, sessionId, since }: GapMessage): Entry => ({
  ...{ seq, at, kind: 'gap', type: 'nobody looked', sessionId, sourceId: undefined, payload: { since } },
  ...{ failed: false, transitions: [], text: undefined },
})

export const textOf = (entry: Entry): string => {
  entry.text ??= JSON.stringify(entry.payload)
  return entry.text
}

export interface Filter {
  readonly search: string
  /** Session ids; all when undefined. */
  readonly actors: ReadonlySet<string> | undefined
  readonly failedOnly: boolean
  /** Shows `xstate.*` too; those that failed are always shown. */
  readonly internal: boolean
}

export const passes = (entry: Entry, { search, actors, failedOnly, internal }: Filter): boolean => {
  if (failedOnly && !entry.failed) return false
  if (!(internal || entry.failed) && entry.type.startsWith('xstate.')) return false
  if (actors !== undefined && !(actors.has(entry.sessionId) || actors.has(entry.sourceId ?? ''))) return false
  if (search === '') return true
  const wanted = search.toLowerCase()
  return entry.type.toLowerCase().includes(wanted) || textOf(entry).toLowerCase().includes(wanted)
}

/** The entries that pass, kept up to date without testing the same entry twice. */
export interface View {
  /** @returns true when the list is another one now */
  update(log: Log, filter: Filter): boolean
  readonly entries: readonly Entry[]
  /** How many have vanished from the list so far for their age; only its changes matter. */
  readonly gone: number
}

export const createView = (): View => {
  let entries: Entry[] = []
  let used: Filter | undefined
  let upTo = 0
  let gone = 0
  return {
    get entries() {
      return entries
    },
    get gone() {
      return gone
    },
    update: (log, filter) => {
      const same = used !== undefined && sameFilter(used, filter)
      if (!same) {
        entries = []
        upTo = 0
      }
      used = filter
      const oldest = log.entries[0]?.seq ?? Number.POSITIVE_INFINITY
      const isThere = ({ seq, failed }: Entry): boolean => seq >= log.completeFrom || (failed && seq >= oldest)
      const added: Entry[] = []
      for (let i = log.entries.length - 1; i >= 0; i--) {
        const entry = log.entries[i]
        if (entry === undefined || entry.seq <= upTo) break
        if (passes(entry, filter)) added.push(entry)
      }
      upTo = log.entries.at(-1)?.seq ?? 0
      const left = entries.every(isThere) ? entries : entries.filter(isThere)
      if (same && added.length === 0 && left === entries) return false
      gone += entries.length - left.length
      entries = [...left, ...added.reverse()]
      return true
    },
  }
}

const sameFilter = (one: Filter, other: Filter): boolean =>
  one.search === other.search &&
  one.actors === other.actors &&
  one.failedOnly === other.failedOnly &&
  one.internal === other.internal
