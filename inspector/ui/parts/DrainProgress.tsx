import type { JSX } from 'preact'
import { age, count, words } from '../format.ts'
import { status } from '../state/store.ts'

/** How far a drain is: the phase, the time that is left, and each source. */
export const DrainProgress = (): JSX.Element | null => {
  const { drain, sources: known } = status.value ?? {}
  if (drain === undefined) return null
  const total = Math.max(1, drain.tookMs + drain.timeLeftMs)
  const sources = Object.entries(drain.sources)
  const left = sources.reduce((sum, [, { inFlight }]) => sum + inFlight, 0)
  return (
    <section class="drain" aria-label="Drain">
      <div class="row">
        <strong>{words(drain.phase)}</strong>
        <span>{count(left)} in flight</span>
        <span class="grow" />
        <span class="numbers">{age(drain.timeLeftMs)} left</span>
      </div>
      <progress max={total} value={Math.min(drain.tookMs, total)} aria-label="Time used of the shutdown" />
      <ul>
        {sources.map(([name, { state, inFlight, settled, released }]) => {
          // Those that still are: the report of the drain counts the redriven ones, too.
          const parked = known?.[name]?.parked ?? 0
          return (
            <li key={name} data-drain={name}>
              <b>{name}</b> <span class={`now ${state}`}>{words(state)}</span>
              <span class="faint">
                {[
                  inFlight > 0 && `${count(inFlight)} in flight`,
                  `${count(settled)} settled`,
                  released > 0 && `${count(released)} given back`,
                  parked > 0 && `${count(parked)} parked`,
                ]
                  .filter(Boolean)
                  .join(' · ')}
              </span>
            </li>
          )
        })}
      </ul>
    </section>
  )
}
