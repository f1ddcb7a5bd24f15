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

/** True when an arrow begins at the `any` pill of its state, because it leads to a state inside. */
export const beginsAtPill = ({ source, targets }: ChartTransition): boolean =>
  targets.some((target) => target !== source && isWithin(target, source))

/** Transitions drawn as arrows, in source order. */
export const arrowsOf = (chart: Chart): readonly ChartTransition[] =>
  statesOf(chart.root).flatMap(({ transitions }) => transitions.filter((each) => !staysInside(each)))
