import { computed, signal } from '@preact/signals'
import type { JSX } from 'preact'
import { clockMs } from '../format.ts'
import { selectedSeq } from '../state/address.ts'
import { selectEntry, shown } from '../state/events.ts'
import { type Lanes, lanesOf } from '../state/lanes.ts'
import type { Entry } from '../state/log.ts'
import { actors } from '../state/store.ts'
import { Nothing, Toolbar } from './EventsTab.tsx'
import { VirtualList } from './VirtualList.tsx'

/** Who told whom what, downwards in time: the newest of the events that the list shows. */
const most = 500
const rowHeight = 26
const laneWidth = 124
const timeWidth = 92

const follow = signal(true)

const drawn = computed((): readonly Entry[] => shown.value.slice(-most))
const lanes = computed((): Lanes => lanesOf(drawn.value, (id) => actors.get(id)))

export const SequenceTab = (): JSX.Element => {
  const entries = drawn.value
  const { lanes: columns } = lanes.value
  const width = timeWidth + columns.length * laneWidth
  const chosen = entries.findIndex(({ seq }) => seq === selectedSeq.value)
  return (
    <>
      <Toolbar entries={shown.value} />
      {entries.length === 0 ? (
        <Nothing />
      ) : (
        <VirtualList
          label="Sequence of events"
          class="sequence"
          count={entries.length}
          rowHeight={rowHeight}
          width={width}
          follow={{
            value: follow.value,
            set: (value) => {
              follow.value = value
            },
          }}
          reveal={chosen < 0 ? undefined : chosen}
          head={
            <div class="head" style={{ width: `${width}px` }}>
              {columns.map(({ key, name, of }, i) => (
                <span
                  key={key}
                  title={name}
                  style={{ left: `${centre(i) - laneWidth / 2 + 6}px`, width: `${laneWidth - 12}px` }}
                >
                  {name}
                  <small>{of ?? '\u00a0'}</small>
                </span>
              ))}
            </div>
          }
          row={(index, top) => {
            const entry = entries[index]
            if (entry === undefined) return null
            return <Row key={entry.seq} entry={entry} top={top} width={width} chosen={index === chosen} />
          }}
        />
      )}
    </>
  )
}

const centre = (lane: number): number => timeWidth + lane * laneWidth + laneWidth / 2

const Row = ({
  entry,
  top,
  width,
  chosen,
}: {
  entry: Entry
  top: number
  width: number
  chosen: boolean
}): JSX.Element => {
  const { lanes: columns, of } = lanes.value
  const to = centre(of(entry.sessionId))
  const from = entry.kind === 'event' ? centre(of(entry.sourceId)) : to
  const look = `step${entry.failed ? ' failed' : ''}${chosen ? ' selected' : ''}`
  return (
    <div
      class={look}
      role="listitem"
      data-seq={entry.seq}
      style={{ top: `${top}px`, width: `${width}px` }}
      onClick={() => selectEntry(entry)}
      onKeyDown={({ key }) => {
        if (key === 'Enter') selectEntry(entry)
      }}
    >
      <time>{clockMs(entry.at)}</time>
      <svg width={width} height={rowHeight} aria-hidden="true">
        {columns.map(({ key }, i) => (
          <line key={key} class="lane" x1={centre(i)} x2={centre(i)} y1={0} y2={rowHeight} />
        ))}
        {entry.kind === 'gap' ? null : from === to ? <Loop at={to} /> : <Across from={from} to={to} />}
      </svg>
      <Label entry={entry} from={from} to={to} />
    </div>
  )
}

const Across = ({ from, to }: { from: number; to: number }): JSX.Element => {
  const step = to > from ? 1 : -1
  const y = rowHeight - 7
  return (
    <>
      <line class="arrow" x1={from} x2={to - step * 7} y1={y} y2={y} />
      <polygon class="tip" points={`${to},${y} ${to - step * 8},${y - 4} ${to - step * 8},${y + 4}`} />
      <circle class="tip" cx={from} cy={y} r={2.5} />
    </>
  )
}

const Loop = ({ at }: { at: number }): JSX.Element => (
  <>
    <path class="arrow" d={`M${at},7h18a4,4 0 0 1 4,4v4a4,4 0 0 1 -4,4h-11`} />
    <polygon class="tip" points={`${at},19 ${at + 8},15 ${at + 8},23`} />
  </>
)

/** The type stands over its arrow, on the background, so that lanes it crosses do not strike it through. */
const Label = ({ entry, from, to }: { entry: Entry; from: number; to: number }): JSX.Element => {
  if (entry.kind === 'gap') return <span class="gap-label">nobody looked</span>
  if (from === to) {
    return (
      <span class="label" style={{ left: `${to + 28}px`, top: '5px' }}>
        {entry.type}
      </span>
    )
  }
  const [left, right] = [Math.min(from, to), Math.max(from, to)]
  return (
    <span class="label over" style={{ left: `${left}px`, width: `${right - left}px` }}>
      <span>{entry.type}</span>
    </span>
  )
}
