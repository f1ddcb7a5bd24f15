import { computed, signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import { clockMs, count } from '../format.ts'
import { eventActor, failedOnly, internal, search, selectedSeq } from '../state/address.ts'
import { goneRows, paused, selectEntry, shown } from '../state/events.ts'
import { exportEntries } from '../state/export.ts'
import { moveSelection } from '../state/keyboard.ts'
import { type Entry, textOf } from '../state/log.ts'
import { actors, actorsTurn, log, logTurn, status } from '../state/store.ts'
import { summaryOf } from '../state/summary.ts'
import { VirtualList } from './VirtualList.tsx'

const follow = signal(true)
const rowHeight = 24

export const EventsTab = (): JSX.Element => {
  const entries = shown.value
  const chosen = selectedSeq.value === undefined ? -1 : entries.findIndex(({ seq }) => seq === selectedSeq.value)

  useEffect(() => {
    moveSelection.value = (by) => {
      const next = entries[chosen < 0 ? entries.length - 1 : chosen + by]
      if (next === undefined) return
      follow.value = false
      selectEntry(next)
    }
  }, [entries, chosen])

  return (
    <>
      <Toolbar entries={entries} />
      {entries.length === 0 ? (
        <Nothing />
      ) : (
        <VirtualList
          label="Events"
          class="events"
          count={entries.length}
          rowHeight={rowHeight}
          gone={goneRows()}
          follow={{
            value: follow.value && !paused.value,
            set: (value) => {
              follow.value = value
            },
          }}
          reveal={chosen < 0 ? undefined : chosen}
          row={(index, top) => {
            const entry = entries[index]
            return entry === undefined ? null : (
              <EventRow key={entry.seq} entry={entry} top={top} chosen={index === chosen} />
            )
          }}
        />
      )}
      {!follow.value && !paused.value && entries.length > 0 && (
        <button
          type="button"
          class="latest"
          onClick={() => {
            follow.value = true
          }}
        >
          ↓ Latest
        </button>
      )}
    </>
  )
}

const EventRow = ({ entry, top, chosen }: { entry: Entry; top: number; chosen: boolean }): JSX.Element => {
  const style = { top: `${top}px` }
  if (entry.kind === 'gap') {
    return (
      <div class="event gap" role="listitem" style={style}>
        nobody looked until {clockMs(entry.at)}
      </div>
    )
  }
  const { about, rest } = summaryOf(entry.payload, textOf(entry))
  return (
    <div
      class={`event${entry.failed ? ' failed' : ''}${chosen ? ' selected' : ''}`}
      role="listitem"
      data-seq={entry.seq}
      style={style}
      onClick={() => selectEntry(entry)}
      onKeyDown={({ key }) => {
        if (key === 'Enter') selectEntry(entry)
      }}
    >
      <time>{clockMs(entry.at)}</time>
      <span class="route">
        {actors.nameOf(entry.sourceId)} <i>→</i> {actors.nameOf(entry.sessionId)}
      </span>
      <b>{entry.type}</b>
      <span class="payload">
        {about !== undefined && <span class="about">{about}</span>}
        <code>{rest}</code>
      </span>
    </div>
  )
}

export const Toolbar = ({ entries }: { entries: readonly Entry[] }): JSX.Element => {
  logTurn.value
  return (
    <div class="toolbar">
      <input
        id="search"
        type="search"
        placeholder="search type, payload"
        aria-label="Search type and payload"
        value={search.value}
        onInput={({ currentTarget }) => {
          search.value = currentTarget.value
        }}
      />
      <ActorFilter />
      <label class="check">
        <input
          type="checkbox"
          checked={failedOnly.value}
          onChange={({ currentTarget }) => {
            failedOnly.value = currentTarget.checked
          }}
        />
        failed only
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={internal.value}
          onChange={({ currentTarget }) => {
            internal.value = currentTarget.checked
          }}
        />
        xstate.*
      </label>
      <button
        type="button"
        class={paused.value ? 'small pressed' : 'small'}
        aria-pressed={paused.value}
        onClick={() => {
          paused.value = !paused.value
        }}
      >
        {paused.value ? '▶ Go on' : '❚❚ Pause'}
      </button>
      <span class="grow" />
      <span
        class="faint counts"
        data-received={log.received}
        data-sampled={log.sampledOut}
        data-kept={log.entries.length}
      >
        {count(entries.length)} of {count(log.received)}
        {log.sampledOut > 0 && <b> · {count(log.sampledOut)} sampled out</b>}
      </span>
      <button
        type="button"
        class="icon"
        aria-label="Export"
        title="Export as JSON lines"
        onClick={() => exportEntries(entries)}
      >
        ⤓
      </button>
    </div>
  )
}

const choices = computed((): readonly string[] => {
  actorsTurn.value
  const [root] = actors.roots
  if (root === undefined) return []
  const direct = actors.children(root).filter((id) => actors.get(id)?.status === 'active')
  return [...new Set([root, ...direct.slice(0, 200)].map((id) => actors.pathOf(id)))]
})

const ActorFilter = (): JSX.Element => {
  const paths = choices.value
  const all = eventActor.value === '' || paths.includes(eventActor.value) ? paths : [...paths, eventActor.value]
  return (
    <select
      aria-label="Only of this actor and what lives below it"
      value={eventActor.value}
      onChange={({ currentTarget }) => {
        eventActor.value = currentTarget.value
      }}
    >
      <option value="">all actors</option>
      {all.map((path) => (
        <option key={path} value={path}>
          {path.slice(path.lastIndexOf('/') + 1)}
        </option>
      ))}
    </select>
  )
}

/** An empty list says why it is empty and what to do. */
export const Nothing = (): JSX.Element => {
  const filtered = log.entries.length > 0
  if (filtered) {
    return (
      <div class="empty">
        <p>None of {count(log.entries.length)} events match.</p>
        <button
          type="button"
          onClick={() => {
            search.value = ''
            eventActor.value = ''
            failedOnly.value = false
          }}
        >
          Clear the filters
        </button>
      </div>
    )
  }
  const [first] = Object.keys(status.value?.sources ?? {})
  return (
    <div class="empty">
      <p>No events since you looked. They appear here as they happen.</p>
      <p class="faint">
        To see one, hand an event to {first === undefined ? 'an actor' : <b>{first}</b>}:{' '}
        <code>npx koksmat-controller send</code> in a terminal, or <b>Send</b> above.
      </p>
    </div>
  )
}
