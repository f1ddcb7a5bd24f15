import type { MachineDefinition, StateDefinition, TransitionDefinition } from '../../protocol/definition.ts'

/** A definition as it is drawn: every transition knows where it starts. */
export interface ChartState extends Omit<StateDefinition, 'transitions' | 'states'> {
  readonly transitions: readonly ChartTransition[]
  readonly states: readonly ChartState[]
}

export interface ChartTransition extends TransitionDefinition {
  readonly source: string
}

export interface Chart {
  readonly hash: string
  readonly root: ChartState
}

export const chartOf = ({ hash, id, root }: MachineDefinition): Chart => ({
  hash,
  root: { ...chartState(root), key: id },
})

const chartState = (state: StateDefinition): ChartState => ({
  ...state,
  transitions: state.transitions.map((transition) => ({ ...transition, source: state.path })),
  states: state.states.map(chartState),
})

export const statesOf = (state: ChartState): readonly ChartState[] => [state, ...state.states.flatMap(statesOf)]

export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('.')))

/** True when `inner` is `outer` or lies in it. */
export const isWithin = (inner: string, outer: string): boolean =>
  outer === '' || inner === outer || inner.startsWith(`${outer}.`)

/** A transition that is written into its state instead of being drawn as an arrow. */
export const staysInside = ({ source, targets }: ChartTransition): boolean =>
  targets.length === 0 || (targets.length === 1 && targets[0] === source)

/** Transitions that are alike but for their event share one arrow. */
export interface Arrow {
  /** Id of its first transition. */
  readonly id: string
  readonly source: string
  readonly targets: readonly string[]
  readonly guard?: string
  readonly actions: readonly string[]
  readonly transitions: readonly ChartTransition[]
}

/** In source order. */
export const arrowsOf = (chart: Chart): readonly Arrow[] =>
  statesOf(chart.root).flatMap(({ transitions }) =>
    alike(transitions.filter((each) => !staysInside(each))).flatMap((group): Arrow[] => {
      const [first] = group
      if (first === undefined) return []
      const { id, source, targets, guard, actions } = first
      return [{ id, source, targets, actions, transitions: group, ...(guard === undefined ? {} : { guard }) }]
    }),
  )

/** Groups of transitions that go the same way under the same guard and do the same. */
export const alike = (transitions: readonly ChartTransition[]): readonly (readonly ChartTransition[])[] => [
  ...Map.groupBy(transitions, ({ targets, guard, actions }) => JSON.stringify([targets, guard, actions])).values(),
]

/** True when an arrow begins at the `any` pill of its state, because it leads to a state inside. */
export const beginsAtPill = ({ source, targets }: Arrow): boolean =>
  targets.some((target) => target !== source && isWithin(target, source))
