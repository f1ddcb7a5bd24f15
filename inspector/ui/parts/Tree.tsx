import { computed, signal } from '@preact/signals'
import type { JSX } from 'preact'
import type { ActorView } from '../../protocol/actors.ts'
import { stateText } from '../state/actors.ts'
import { actors, actorsTurn, select, selected, status } from '../state/store.ts'
import { type Severity, severity } from '../words.ts'
import { VirtualList } from './VirtualList.tsx'

const filter = signal('')
const machinesOnly = signal(false)
const folded = signal<ReadonlySet<string>>(new Set())
/** Parents whose ended children are shown. */
const unfolded = signal<ReadonlySet<string>>(new Set())

type Row =
  | { readonly kind: 'actor'; readonly id: string; readonly depth: number; readonly inner: number }
  | { readonly kind: 'ended'; readonly parent: string; readonly depth: number; readonly count: number }

const rows = computed((): readonly Row[] => {
  actorsTurn.value
  const wanted = filter.value.trim().toLowerCase()
  const collected: Row[] = []
  for (const id of actors.roots) collect(id, 0, wanted, collected)
  return collected
})

const collect = (id: string, depth: number, wanted: string, into: Row[]): void => {
  const view = actors.get(id)
  if (view === undefined) return
  const children = actors.children(id).filter(isShown)
  if (wanted === '' || matches(view, wanted)) into.push({ kind: 'actor', id, depth, inner: children.length })
  if (folded.value.has(id) && wanted === '') return
  const live = children.filter((child) => actors.get(child)?.status === 'active')
  for (const child of live) collect(child, depth + 1, wanted, into)
  const ended = children.filter((child) => actors.get(child)?.status !== 'active')
  if (ended.length === 0) return
  const open = unfolded.value.has(id) || wanted !== ''
  if (wanted === '') into.push({ kind: 'ended', parent: id, depth: depth + 1, count: ended.length })
  if (open) for (const child of ended) collect(child, depth + 2, wanted, into)
}

const isShown = (id: string): boolean => !machinesOnly.value || actors.get(id)?.kind === 'machine'

const matches = (view: ActorView, wanted: string): boolean =>
  `${view.id} ${view.src ?? ''} ${stateText(view)}`.toLowerCase().includes(wanted)

const toggled = (set: ReadonlySet<string>, id: string): ReadonlySet<string> => {
  const next = new Set(set)
  if (!next.delete(id)) next.add(id)
  return next
}

const rowHeight = 26

export const Tree = (): JSX.Element => {
  const list = rows.value
  const chosen = list.findIndex((row) => row.kind === 'actor' && row.id === selected.value)
  return (
    <nav class="tree" aria-label="Actors">
      <div class="pane-head">
        <h2>Actors</h2>
        <span class="faint">{actors.live}</span>
        <span class="grow" />
        <label class="check">
          <input
            type="checkbox"
            checked={machinesOnly.value}
            onChange={({ currentTarget }) => {
              machinesOnly.value = currentTarget.checked
            }}
          />
          machines
        </label>
      </div>
      <input
        class="filter"
        type="search"
        placeholder="filter"
        aria-label="Filter the actors"
        value={filter.value}
        onInput={({ currentTarget }) => {
          filter.value = currentTarget.value
        }}
      />
      <div class="tree-keys" role="presentation" onKeyDown={(pressed) => steer(pressed, list, chosen)}>
        <VirtualList
          label="Actors"
          role="tree"
          count={list.length}
          rowHeight={rowHeight}
          reveal={chosen}
          row={(index, top) => <TreeRow key={keyOf(list[index])} row={list[index]} top={top} />}
        />
      </div>
    </nav>
  )
}

const keyOf = (row: Row | undefined): string => (row?.kind === 'actor' ? row.id : `ended ${row?.parent}`)

const steer = (pressed: KeyboardEvent, list: readonly Row[], chosen: number): void => {
  const row = list[chosen]
  const to = (index: number): void => {
    const step = index > chosen ? 1 : -1
    let at = index
    while (list[at]?.kind === 'ended') at += step
    const next = list[at]
    if (next?.kind === 'actor') select(next.id)
  }
  if (pressed.key === 'ArrowDown') to(chosen + 1)
  else if (pressed.key === 'ArrowUp') to(chosen - 1)
  else if (pressed.key === 'ArrowLeft' && row?.kind === 'actor') folded.value = new Set([...folded.value, row.id])
  else if (pressed.key === 'ArrowRight' && row?.kind === 'actor') {
    folded.value = new Set([...folded.value].filter((id) => id !== row.id))
  } else return
  pressed.preventDefault()
}

const TreeRow = ({ row, top }: { row: Row | undefined; top: number }): JSX.Element | null => {
  if (row === undefined) return null
  const place = { top: `${top}px`, paddingLeft: `${8 + row.depth * 14}px` }
  if (row.kind === 'ended') {
    const open = unfolded.value.has(row.parent)
    return (
      <div class="tree-row ended" role="treeitem" aria-level={row.depth + 1} aria-expanded={open} style={place}>
        <button
          type="button"
          class="plain"
          tabIndex={-1}
          onClick={() => {
            unfolded.value = toggled(unfolded.value, row.parent)
          }}
        >
          {open ? '▾' : '▸'} ended <span class="faint">{row.count}</span>
        </button>
      </div>
    )
  }
  const view = actors.get(row.id)
  if (view === undefined) return null
  const open = !folded.value.has(row.id)
  const isSelected = selected.value === row.id
  const state = stateText(view)
  return (
    <div
      class={`tree-row ${view.status} kind-${view.kind} ${troubleOf(view)}${isSelected ? ' selected' : ''}`}
      role="treeitem"
      aria-level={row.depth + 1}
      aria-selected={isSelected}
      {...(row.inner > 0 ? { 'aria-expanded': open } : {})}
      data-actor={view.id}
      style={place}
    >
      {row.inner > 0 ? (
        <button
          type="button"
          class="plain fold"
          tabIndex={-1}
          aria-label={`${open ? 'Fold' : 'Unfold'} ${view.id}`}
          onClick={() => {
            folded.value = toggled(folded.value, row.id)
          }}
        >
          {open ? '▾' : '▸'}
        </button>
      ) : (
        <span class="fold" />
      )}
      <button
        type="button"
        class="plain actor"
        tabIndex={-1}
        title={`${view.id} ${state}`}
        onClick={() => select(row.id)}
      >
        <span class="dot" />
        <Name id={view.id} /> <span class="state">{state}</span>
      </button>
    </div>
  )
}

const sourcePrefix = 'source:'

/** The actor of a source has the colour of its source. */
const troubleOf = ({ id }: ActorView): Severity | '' => {
  const source = id.startsWith(sourcePrefix) ? status.value?.sources[id.slice(sourcePrefix.length)] : undefined
  return source === undefined ? '' : severity(source)
}

const Name = ({ id }: { id: string }): JSX.Element =>
  id.startsWith(sourcePrefix) ? (
    <span class="id">
      <small>{sourcePrefix}</small>
      {id.slice(sourcePrefix.length)}
    </span>
  ) : (
    <span class="id">{id}</span>
  )
