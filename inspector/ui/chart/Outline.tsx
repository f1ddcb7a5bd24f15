import type { JSX } from 'preact'
import { type Chart, type ChartState, statesOf } from './model.ts'

/** The states as text: what is shown where the layout worker cannot be loaded. */
export const Outline = ({ chart, active }: { chart: Chart; active: readonly string[] }): JSX.Element => (
  <div class="outline">
    <p class="faint">The statechart could not be drawn here; these are its {statesOf(chart.root).length - 1} states.</p>
    <ul>
      <State state={chart.root} active={active} />
    </ul>
  </div>
)

const State = ({ state, active }: { state: ChartState; active: readonly string[] }): JSX.Element => {
  const on = state.path === '' || active.includes(state.path)
  return (
    <li>
      <span class={on ? 'outline-state on' : 'outline-state'} data-path={state.path}>
        {state.key}
      </span>
      <ul>
        {state.transitions.map(({ id, label, guard, targets }) => (
          <li key={id} class="faint" data-edge={id}>
            {label}
            {guard !== undefined && ` [${guard}]`}
            {targets.length > 0 && ` → ${targets.join(', ')}`}
          </li>
        ))}
        {state.states.map((inner) => (
          <State key={inner.path} state={inner} active={active} />
        ))}
      </ul>
    </li>
  )
}
