import { type ChartState, type ChartTransition, staysInside } from './model.ts'

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

/** Lines that belong together; with `edge` they stand for a transition that does not leave its state. */
export interface Block {
  readonly lines: readonly Line[]
  readonly edge?: string
}

export type Look = 'name' | 'badge' | 'event' | 'guard' | 'action' | 'invoke' | 'quiet'

export type Measure = (text: string, look: Look) => number

export const lineHeight = 15
export const titleHeight = 30
const sidePadding = 12
const bottomPadding = 8
const longestLine = 290

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

/** What is written into a state below its name. */
export const blocksOf = (state: ChartState, measure: Measure): readonly Block[] => {
  const inside = state.transitions.filter(staysInside)
  const ignored = inside.filter(({ actions, targets }) => actions.length === 0 && targets.length === 0)
  const kept = inside.filter((transition) => !ignored.includes(transition))
  const names = ignored.map(({ id, label, guard }): Piece => {
    return { text: guard === undefined ? label : `${label} [${guard}]`, look: 'quiet', edge: id }
  })
  return [
    ...state.entry.map((action) => ({ lines: [[quiet('entry /'), { text: action, look: 'action' } as const]] })),
    ...state.exit.map((action) => ({ lines: [[quiet('exit /'), { text: action, look: 'action' } as const]] })),
    ...state.invokes.map(({ id }) => ({ lines: [[{ text: `⚙ ${id}`, look: 'invoke' } as const]] })),
    ...kept.map((transition) => ({ edge: transition.id, lines: wrap(insidePieces(transition), measure) })),
    ...(names.length === 0 ? [] : [{ lines: wrap([quiet('ignores'), ...names], measure) }]),
  ]
}

const quiet = (text: string): Piece => ({ text, look: 'quiet' })

const insidePieces = ({ label, guard, actions, targets }: ChartTransition): Line => [
  { text: `${targets.length > 0 ? '↻ ' : ''}${label}`, look: 'event' },
  ...(guard === undefined ? [] : [{ text: `[${guard}]`, look: 'guard' } as const]),
  ...actions.map((action, i): Piece => ({ text: i === 0 ? `/ ${action}` : action, look: 'action' })),
]

/** The lines of the label on an arrow. */
export const labelOf = ({ label, guard, actions }: ChartTransition): readonly Line[] => [
  [{ text: label, look: 'event' }],
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
  const lines = blocksOf(state, measure).flatMap((block) => block.lines)
  const widest = Math.max(...[titleOf(state), ...lines].map((line) => widthOf(line, measure)))
  return {
    width: Math.max(64, widest + 2 * sidePadding),
    height: titleHeight + (lines.length > 0 ? lines.length * lineHeight + bottomPadding : 0),
  }
}

export const labelBox = (transition: ChartTransition, measure: Measure): Box => {
  const lines = labelOf(transition)
  return {
    width: Math.max(...lines.map((line) => widthOf(line, measure))) + 14,
    height: lines.length * 14 + 7,
  }
}
