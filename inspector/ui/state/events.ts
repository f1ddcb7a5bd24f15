import { computed, signal } from '@preact/signals'
import { actorPath, eventActor, failedOnly, internal, search, selectedSeq } from './address.ts'
import { createView, type Entry, type Filter } from './log.ts'
import { actors, actorsTurn, log, logTurn } from './store.ts'

/** True while the list stands still; what comes meanwhile is kept and shown afterwards. */
export const paused = signal(false)

const chosenActors = computed((): ReadonlySet<string> | undefined => {
  const path = eventActor.value
  if (path === '') return undefined
  actorsTurn.value
  const root = actors.byPath(path)
  if (root === undefined) return new Set()
  return new Set(withChildren(root))
})

const withChildren = (sessionId: string): readonly string[] => [
  sessionId,
  ...actors.children(sessionId).flatMap(withChildren),
]

/** The same set as long as it holds the same actors, so that the list is not filtered anew at each birth elsewhere. */
let lastActors: ReadonlySet<string> | undefined
const steadyActors = computed(() => {
  const next = chosenActors.value
  if (next !== undefined && lastActors?.size === next.size && [...next].every((id) => lastActors?.has(id))) {
    return lastActors
  }
  lastActors = next
  return next
})

const filter = computed(
  (): Filter => ({
    search: search.value.trim(),
    actors: steadyActors.value,
    failedOnly: failedOnly.value,
    internal: internal.value,
  }),
)

const view = createView()
let lastShown: readonly Entry[] = []

/** The entries that pass the filters; the list and the sequence diagram show the same ones. */
export const shown = computed((): readonly Entry[] => {
  const wanted = filter.value
  if (paused.value) return lastShown
  logTurn.value
  view.update(log, wanted)
  lastShown = view.entries
  return lastShown
})

/** How many rows have vanished at the top of `shown` so far; only its changes matter. */
export const goneRows = (): number => view.gone

export const selectedEntry = computed((): Entry | undefined => {
  const seq = selectedSeq.value
  if (seq === undefined) return undefined
  logTurn.value
  return log.entries.find((entry) => entry.seq === seq)
})

/** Selects the event everywhere, and the actor that got it. */
export const selectEntry = (entry: Entry): void => {
  selectedSeq.value = entry.seq
  const path = actors.pathOf(entry.sessionId)
  if (path !== '') actorPath.value = path
}
