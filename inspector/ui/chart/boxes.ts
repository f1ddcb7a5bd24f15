import { type Arrow, alike, type ChartState, type ChartTransition, staysInside } from './model.ts'

/**
 * How much room the parts of a chart need. Text is measured with the fonts it is drawn in, so that nothing sticks out.
 */
export interface Box {
  readonly width: number
  readonly height: number
}

export type Line = readonly Piece[]

export interface Piece {
  readonly text: string
  readonly look: Look
  /** The transition that this piece stands for: where several share a line. */
  readonly edge?: string
}

/** Lines that belong together, with their place below the name of a state. */
export interface Block {
  readonly lines: readonly Line[]
  readonly x: number
  readonly y: number
}

export type Look = 'name' | 'badge' | 'event' | 'guard' | 'action' | 'invoke' | 'quiet'

export type Measure = (text: string, look: Look) => number

export const lineHeight = 15
export const titleHeight = 30
const sidePadding = 12
const bottomPadding = 8
const longestLine = 290
const columnGap = 24

const sans = 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif'
const fonts: Readonly<Record<Look, string>> = {
  name: `600 13px ${sans}`,
  badge: `500 10px ${sans}`,
  event: `600 11px ${sans}`,
  guard: `400 11px ${sans}`,
  action: `400 11px ${sans}`,
  invoke: `500 11px ${sans}`,
  quiet: `400 11px ${sans}`,
}

export const canvasMeasure = (): Measure => {
  const context = document.createElement('canvas').getContext('2d')
  const known = new Map<string, number>()
  return (text, look) => {
    const key = `${look} ${text}`
    let width = known.get(key)
    if (width === undefined) {
      if (context !== null) context.font = fonts[look]
      width = Math.ceil(context?.measureText(text).width ?? text.length * 7) + 1
      known.set(key, width)
    }
    return width
  }
}

export const titleOf = ({ key, type, tags }: ChartState): Line => [
  { text: key, look: 'name' },
  ...(type === 'parallel' || type === 'history' ? [{ text: type, look: 'badge' } as const] : []),
  ...tags.map((tag) => ({ text: tag, look: 'badge' }) as const),
]

/** What is written into a state below its name; in two columns where there is much of it and room for it. */
export const blocksOf = (state: ChartState, measure: Measure): readonly Block[] => {
  const texts = textsOf(state, measure)
  const total = texts.reduce((sum, lines) => sum + lines.length, 0)
  const perColumn = state.states.length > 0 && total > 4 ? Math.ceil(total / 2) : total
  let [x, row] = [sidePadding, 0]
  let widest = 0
  return texts.map((lines) => {
    if (row >= perColumn) {
      x += widest + columnGap
      row = 0
    }
    const block = { lines, x, y: titleHeight + 9 + row * lineHeight }
    row += lines.length
    widest = Math.max(widest, ...lines.map((line) => widthOf(line, measure)))
    return block
  })
}

const textsOf = (state: ChartState, measure: Measure): readonly (readonly Line[])[] => {
  const inside = alike(state.transitions.filter(staysInside))
  const ignored = inside.filter(([first]) => first?.actions.length === 0 && first.targets.length === 0)
  const kept = inside.filter((group) => !ignored.includes(group))
  return [
    ...does('entry', state.entry, measure),
    ...does('exit', state.exit, measure),
    ...state.invokes.map(({ id }) => [[{ text: `⚙ ${id}`, look: 'invoke' } as const]]),
    ...kept.map((group) => wrap(insidePieces(group), measure)),
    ...ignored.map((group) => wrap([quiet('ignores'), ...names(group, 'quiet'), ...guardOf(group[0])], measure)),
  ]
}

/** Without what XState itself does for `after`. */
const does = (when: string, actions: readonly string[], measure: Measure): readonly (readonly Line[])[] => {
  const own = [...new Set(actions.filter((action) => !action.startsWith('xstate.')))]
  return own.length === 0 ? [] : [wrap([quiet(`${when} /`), ...listed(own)], measure)]
}

const listed = (actions: readonly string[]): Line =>
  actions.map((action, i) => ({ text: i < actions.length - 1 ? `${action},` : action, look: 'action' }))

const quiet = (text: string): Piece => ({ text, look: 'quiet' })

const names = (group: readonly ChartTransition[], look: Look): Line =>
  group.map(({ id, label, targets }, i) => ({
    text: `${targets.length > 0 ? '↻ ' : ''}${label}${i < group.length - 1 ? ',' : ''}`,
    look,
    edge: id,
  }))

const guardOf = (transition: { readonly guard?: string } | undefined): Line =>
  transition?.guard === undefined ? [] : [{ text: `[${transition.guard}]`, look: 'guard' }]

const insidePieces = (group: readonly ChartTransition[]): Line => [
  ...names(group, 'event'),
  ...guardOf(group[0]),
  ...listed((group[0]?.actions ?? []).map((action, i) => (i === 0 ? `/ ${action}` : action))),
]

/** The lines of the label on an arrow: its events, the guard, the actions. */
export const labelOf = ({ transitions, guard, actions }: Arrow): readonly Line[] => [
  ...transitions.map(({ id, label }): Line => [{ text: label, look: 'event', edge: id }]),
  ...(guard === undefined ? [] : [[{ text: `[${guard}]`, look: 'guard' } as const]]),
  ...actions.map((action, i): Line => [{ text: `${i === 0 ? '/ ' : '  '}${action}`, look: 'action' }]),
]

export const gap = 5

export const widthOf = (line: Line, measure: Measure): number =>
  line.reduce((sum, { text, look }) => sum + measure(text, look) + (look === 'badge' ? 10 : 0), (line.length - 1) * gap)

const wrap = (line: Line, measure: Measure): readonly Line[] => {
  const lines: Piece[][] = [[]]
  for (const piece of line) {
    const last = lines.at(-1) ?? []
    if (last.length > 0 && widthOf([...last, piece], measure) > longestLine) lines.push([piece])
    else last.push(piece)
  }
  return lines
}

/** A state's own text; what is inside comes below it. */
export const headOf = (state: ChartState, measure: Measure): Box => {
  const blocks = blocksOf(state, measure)
  const right = ({ lines, x }: Block): number => x + Math.max(...lines.map((line) => widthOf(line, measure)))
  const bottom = ({ lines, y }: Block): number => y + lines.length * lineHeight - 9
  return {
    width: Math.max(64, sidePadding + widthOf(titleOf(state), measure), ...blocks.map(right)) + sidePadding,
    height: Math.max(titleHeight, ...blocks.map((block) => bottom(block) + bottomPadding)),
  }
}

export const labelBox = (arrow: Arrow, measure: Measure): Box => {
  const lines = labelOf(arrow)
  return {
    width: Math.max(...lines.map((line) => widthOf(line, measure))) + 14,
    height: lines.length * 14 + 7,
  }
}
