import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import type { SourceView } from '../../protocol/controller.ts'
import { age, count, moment, rate, words } from '../format.ts'
import { command } from '../state/commands.ts'
import { showParked } from '../state/parked.ts'
import { sourceRate } from '../state/rates.ts'
import { history, knows, mayOperate, now, selectSource, statsTurn, status } from '../state/store.ts'
import { severity } from '../words.ts'
import { Credit, Intake } from './Rail.tsx'
import { VirtualList } from './VirtualList.tsx'

const filter = signal('')
const rowHeight = 40
const leastWidth = 696

export const SourcesTab = (): JSX.Element => {
  statsTurn.value
  const wanted = filter.value.trim().toLowerCase()
  const sources = Object.entries(status.value?.sources ?? {}).filter(([name, { state, driver }]) =>
    `${name} ${words(state)} ${driver}`.toLowerCase().includes(wanted),
  )
  return (
    <>
      <div class="toolbar">
        <input
          type="search"
          placeholder="filter: name, state, driver"
          aria-label="Filter the sources"
          value={filter.value}
          onInput={({ currentTarget }) => {
            filter.value = currentTarget.value
          }}
        />
        <span class="grow" />
        <span class="faint">{count(sources.length)} sources</span>
      </div>
      <VirtualList
        label="Sources"
        class="sources"
        count={sources.length}
        rowHeight={rowHeight}
        width={leastWidth}
        head={
          <div class="head" aria-hidden="true">
            <span>Source</span>
            <span>State</span>
            <span>In flight</span>
            <span>Per s</span>
            <span>Settled</span>
            <span>Parked</span>
            <span />
          </div>
        }
        row={(index, top) => {
          const found = sources[index]
          return found === undefined ? null : <Row key={found[0]} name={found[0]} source={found[1]} top={top} />
        }}
      />
    </>
  )
}

const Row = ({ name, source, top }: { name: string; source: SourceView; top: number }): JSX.Element => {
  const since = Date.parse(source.troubleSince ?? source.stateSince)
  return (
    <div class={`source-row ${severity(source)}`} role="listitem" style={{ top: `${top}px` }}>
      <span>
        <button type="button" class="plain name" onClick={() => selectSource(name)}>
          {name}
        </button>
        <small>{source.driver}</small>
      </span>
      <span title={`since ${moment(since, now.value)}`}>
        <span class="now">{words(source.state)}</span>
        <small>
          {age(now.value - since)}
          {source.reconnects > 0 && ` · ↻ ${count(source.reconnects)}`}
          {source.lastError !== undefined && ` · ${source.lastError.code}`}
        </small>
      </span>
      <CreditCell name={name} source={source} />
      <span class="numbers">{rate(sourceRate(history, name))}</span>
      <span class="numbers">{count(source.settled)}</span>
      <span class="numbers">
        {source.parked > 0 ? (
          <button type="button" class="plain parked" onClick={() => showParked(name)}>
            {count(source.parked)}
          </button>
        ) : (
          0
        )}
      </span>
      <span class="end">
        {source.kind === 'webhook' && knows('rotateSecret') && (
          <button
            type="button"
            class="small"
            disabled={!mayOperate.value}
            title="Reads its secrets again from where they stand"
            aria-label={`Secret: read those of ${name} again`}
            onClick={() => void command({ name: 'rotateSecret', source: name }, `${name} has read its secrets again`)}
          >
            Secret
          </button>
        )}
        <Intake name={name} state={source.state} />
      </span>
    </div>
  )
}

const changing = signal('')

const CreditCell = ({ name, source }: { name: string; source: SourceView }): JSX.Element => {
  if (changing.value !== name) {
    return (
      <span class="row">
        <Credit inFlight={source.inFlight} credit={source.credit} />
        {knows('credit') && mayOperate.value && (
          <button
            type="button"
            class="icon"
            aria-label={`Change the credit of ${name}`}
            title="Change the credit"
            onClick={() => {
              changing.value = name
            }}
          >
            ✎
          </button>
        )}
      </span>
    )
  }
  return (
    <form
      class="row"
      onSubmit={(submitted) => {
        submitted.preventDefault()
        const events = Number(new FormData(submitted.currentTarget).get('credit'))
        changing.value = ''
        void command({ name: 'credit', source: name, events }, `${name} has a credit of ${events}`)
      }}
    >
      <input
        type="number"
        name="credit"
        min={1}
        max={100_000}
        required
        defaultValue={String(source.credit)}
        aria-label={`Credit of ${name}`}
      />
      <button type="submit" class="small">
        Set
      </button>
    </form>
  )
}
