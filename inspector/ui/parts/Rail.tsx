import type { JSX } from 'preact'
import type { SourceView } from '../../protocol/controller.ts'
import { age, count, rate, words } from '../format.ts'
import { tab } from '../state/address.ts'
import { command } from '../state/commands.ts'
import { showParked } from '../state/parked.ts'
import { sourceRate } from '../state/rates.ts'
import { history, knows, mayOperate, now, selectSource, statsTurn, status } from '../state/store.ts'
import { severity } from '../words.ts'

const weight = { bad: 0, warn: 1, busy: 2, good: 2, quiet: 3 } as const
const mostCards = 8

/** A card a source, those in trouble first. A drain has a list of its own. */
export const Rail = (): JSX.Element | null => {
  const current = status.value
  if (current === undefined || current.drain !== undefined) return null
  const sources = Object.entries(current.sources)
  const sorted = sources.toSorted(([, one], [, other]) => weight[severity(one)] - weight[severity(other)])
  return (
    <section class="rail" aria-label="Sources">
      {sorted.slice(0, mostCards).map(([name, source]) => (
        <Card key={name} name={name} source={source} />
      ))}
      {sources.length > mostCards && (
        <button
          type="button"
          class="card rest"
          onClick={() => {
            tab.value = 'sources'
          }}
        >
          and {count(sources.length - mostCards)} more
        </button>
      )}
    </section>
  )
}

const Card = ({ name, source }: { name: string; source: SourceView }): JSX.Element => {
  statsTurn.value
  const { state, inFlight, credit } = source
  return (
    <article class={`card ${severity(source)}`} data-source={name} data-state={state}>
      <div class="row">
        <button type="button" class="plain name" onClick={() => selectSource(name)}>
          {name}
        </button>
        <span class="faint driver">{source.driver}</span>
        <span class="grow" />
        <Intake name={name} state={state} />
      </div>
      <div class="row">
        <span class="now">{words(state)}</span>
        {severity(source) !== 'good' && (
          <span class="faint for">{age(now.value - Date.parse(source.troubleSince ?? source.stateSince))}</span>
        )}
        <span class="grow" />
        {source.parked > 0 && (
          <button type="button" class="plain parked" onClick={() => showParked(name)}>
            {count(source.parked)} parked
          </button>
        )}
        {source.reconnects > 0 && (
          <span class="faint tries" title="connections that failed or were lost since the start">
            ↻ {count(source.reconnects)}
          </span>
        )}
      </div>
      <div class="row">
        <Credit inFlight={inFlight} credit={credit} />
        <span class="grow" />
        <span class="numbers rate">{rate(sourceRate(history, name))}/s</span>
      </div>
    </article>
  )
}

export const Credit = ({ inFlight, credit }: { inFlight: number; credit: number }): JSX.Element => (
  <span class="credit" title={`${inFlight} in flight, of a credit of ${credit}`}>
    <meter
      class={inFlight >= credit ? 'full' : ''}
      min={0}
      max={Math.max(1, credit)}
      value={Math.min(inFlight, credit)}
      aria-label="In flight, of the credit"
    />
    <span class="numbers">
      {count(inFlight)}/{count(credit)}
    </span>
  </span>
)

export const Intake = ({ name, state }: { name: string; state: string }): JSX.Element | null => {
  const resume = state === 'paused'
  const verb = resume ? 'resume' : 'pause'
  if (!knows(verb) || ['draining', 'disconnecting', 'closed'].includes(state)) return null
  return (
    <button
      type="button"
      class="small"
      disabled={!mayOperate.value}
      aria-label={`${resume ? 'Resume' : 'Pause'} ${name}`}
      onClick={() => void command({ name: verb, source: name }, resume ? `${name} goes on` : `${name} is paused`)}
    >
      {resume ? 'Resume' : 'Pause'}
    </button>
  )
}
