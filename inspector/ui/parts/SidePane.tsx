import { computed, signal } from '@preact/signals'
import type { JSX } from 'preact'
import { age, clockMs } from '../format.ts'
import { selectedSeq } from '../state/address.ts'
import { notify } from '../state/commands.ts'
import { selectedEntry } from '../state/events.ts'
import { actors, now, select, selected, snapshots } from '../state/store.ts'
import { summaryOf } from '../state/summary.ts'
import { Charts } from './Charts.tsx'
import { JsonTree } from './JsonTree.tsx'

export const SidePane = (): JSX.Element => (
  <aside class="side" aria-label="Details" tabIndex={0}>
    <Charts />
    {selectedEntry.value !== undefined && <EventDetail />}
    <Snapshot />
  </aside>
)

const showDifference = signal(true)
const raw = signal(false)

const copy = (value: unknown): void => {
  navigator.clipboard
    .writeText(JSON.stringify(value, null, 2))
    .then(() => notify(true, 'Copied'))
    .catch(() => notify(false, 'The browser did not let the page copy.'))
}

const shownSnapshot = computed(() => (snapshots.value?.sessionId === selected.value ? snapshots.value : undefined))

const Snapshot = (): JSX.Element => {
  const view = shownSnapshot.value
  return (
    <section class="snapshot" aria-label="Snapshot">
      <div class="pane-head">
        <h2>Snapshot</h2>
        <span class="grow" />
        <Toggle label="Difference" on={showDifference} />
        <Toggle label="Raw" on={raw} />
        <button type="button" class="small" disabled={view === undefined} onClick={() => copy(view?.current)}>
          Copy
        </button>
      </div>
      {view === undefined ? (
        <p class="faint">Nothing known yet.</p>
      ) : raw.value ? (
        <pre>{JSON.stringify(view.current, null, 2)}</pre>
      ) : (
        <>
          <p class="faint">
            {actors.nameOf(view.sessionId)} {view.by === undefined ? '' : `after ${view.by}`},{' '}
            {age(now.value - view.at)} ago
          </p>
          <JsonTree value={partsOf(view.current)} before={showDifference.value ? partsOf(view.before) : undefined} />
        </>
      )}
    </section>
  )
}

/** Value, context, output and error; the rest stands in the tree already. */
const partsOf = (snapshot: Record<string, unknown> | object | undefined): Parameters<typeof JsonTree>[0]['value'] => {
  if (snapshot === undefined) return undefined
  const { status: _, tags: __, ...parts } = snapshot as Record<string, never>
  return parts
}

const Toggle = ({ label, on }: { label: string; on: { value: boolean } }): JSX.Element => (
  <button
    type="button"
    class={on.value ? 'small pressed' : 'small'}
    aria-pressed={on.value}
    onClick={() => {
      on.value = !on.value
    }}
  >
    {label}
  </button>
)

const EventDetail = (): JSX.Element | null => {
  const entry = selectedEntry.value
  if (entry === undefined) return null
  const { type, at, failed, payload, sessionId, sourceId, transitions, seq } = entry
  const { about } = summaryOf(payload, '')
  return (
    <section class="event-detail" aria-label="Event">
      <div class="pane-head">
        <h2 class={failed ? 'error' : ''}>{type}</h2>
        <span class="faint">{seq}</span>
        <span class="grow" />
        <button type="button" class="small" onClick={() => copy({ type, ...(payload as object) })}>
          Copy
        </button>
        <button
          type="button"
          class="icon"
          aria-label="Close"
          onClick={() => {
            selectedSeq.value = undefined
          }}
        >
          ×
        </button>
      </div>
      <p class="faint">
        {clockMs(at)} · <Actor id={sourceId} /> → <Actor id={sessionId} />
      </p>
      {transitions.map(({ seq: each, source, event, targets, guard, actions }) => (
        <p key={each} class="fired-line">
          <b>{source === '' ? 'any state' : source}</b> {event === type ? '' : `${event || 'always'} `}
          {guard !== undefined && <span class="guard">[{guard}] </span>}
          {targets.length > 0 ? <b>→ {targets.join(', ')}</b> : <span class="faint">stays</span>}
          {actions.length > 0 && <span class="faint"> / {actions.join(', ')}</span>}
        </p>
      ))}
      {about !== undefined && <p class="about">{about}</p>}
      <JsonTree value={payload} />
    </section>
  )
}

const Actor = ({ id }: { id: string | undefined }): JSX.Element =>
  id === undefined || actors.get(id) === undefined ? (
    <span>{actors.nameOf(id)}</span>
  ) : (
    <button type="button" class="plain link" onClick={() => select(id)}>
      {actors.nameOf(id)}
    </button>
  )
