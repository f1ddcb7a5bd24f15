import type { JSX } from 'preact'
import { ChartPane } from '../chart/ChartPane.tsx'
import { type Tab, tab, tabs } from '../state/address.ts'
import { status } from '../state/store.ts'
import { EventsTab } from './EventsTab.tsx'
import { ParkedTab } from './ParkedTab.tsx'
import { SequenceTab } from './SequenceTab.tsx'
import { SourcesTab } from './SourcesTab.tsx'
import { Splitter } from './Splitter.tsx'
import { WorkTab } from './WorkTab.tsx'

const names: Readonly<Record<Tab, string>> = {
  events: 'Events',
  sequence: 'Sequence',
  sources: 'Sources',
  work: 'Jobs and locks',
  parked: 'Parked',
}

const contents: Readonly<Record<Tab, () => JSX.Element>> = {
  events: EventsTab,
  sequence: SequenceTab,
  sources: SourcesTab,
  work: WorkTab,
  parked: ParkedTab,
}

/** The statechart of the actor one looks at stands above its events; the rest has the room to itself. */
const withChart: Tab = 'events'

const numberOf = (name: Tab): number | undefined => {
  const current = status.value
  if (current === undefined) return undefined
  if (name === 'sources') return Object.keys(current.sources).length
  if (name === 'work') return current.jobs.running + current.jobs.waiting + current.jobs.long.length
  if (name !== 'parked') return undefined
  return Object.values(current.sources).reduce((sum, { parked }) => sum + parked, 0)
}

export const Tabs = (): JSX.Element => {
  const Content = contents[tab.value]
  const shown = status.value === undefined ? tabs.slice(0, 2) : tabs
  return (
    <section class="tabs" aria-label="Views">
      <div role="tablist" aria-label="What has happened and what is there">
        {shown.map((name) => {
          const number = numberOf(name)
          return (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              aria-selected={tab.value === name}
              aria-controls="tab-panel"
              onClick={() => {
                tab.value = name
              }}
            >
              {names[name]}
              {number !== undefined && (
                <span class={number > 0 && name === 'parked' ? 'number hot' : 'number'}>{number}</span>
              )}
            </button>
          )
        })}
      </div>
      <div
        class={tab.value === withChart ? 'panel split' : 'panel'}
        role="tabpanel"
        id="tab-panel"
        aria-labelledby={`tab-${tab.value}`}
      >
        {tab.value === withChart && (
          <>
            <ChartPane />
            <Splitter />
          </>
        )}
        <div class="list">
          <Content />
        </div>
      </div>
    </section>
  )
}
