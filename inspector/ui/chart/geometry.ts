import { type Box, headOf, labelBox, type Measure } from './boxes.ts'
import type { ElkEdge, ElkNode, Layout, Point } from './elk.ts'
import {
  type Arrow,
  arrowsOf,
  beginsAtPill,
  type Chart,
  type ChartState,
  isWithin,
  parentOf,
  statesOf,
} from './model.ts'

/** Where everything is. It depends on the definition and the direction only, never on what is active. */
export interface Geometry extends Box {
  readonly states: readonly PlacedState[]
  readonly edges: readonly PlacedEdge[]
  /** Dots from which the first state of a compound state is entered, and pills that stand for any state inside. */
  readonly marks: readonly PlacedMark[]
}

export interface Rectangle extends Box {
  readonly x: number
  readonly y: number
}

export interface PlacedState extends Rectangle {
  readonly state: ChartState
  /** Its own text; what lies inside begins below. */
  readonly head: Box
}

export interface PlacedEdge {
  readonly arrow: Arrow
  /** One line a target. */
  readonly lines: readonly (readonly Point[])[]
  readonly label: Rectangle
}

export interface PlacedMark extends Rectangle {
  readonly kind: 'initial' | 'any'
  readonly path: string
  readonly line: readonly Point[]
}

export type Direction = 'DOWN' | 'RIGHT'

/** Tried in this order until a layout neither fails nor overlaps: ELK cannot compact everything, nor break all cycles. */
const attempts: readonly Record<string, string>[] = [
  { 'elk.layered.compaction.postCompaction.strategy': 'EDGE_LENGTH' },
  {},
  { 'elk.layered.nodePlacement.strategy': 'BRANDES_KOEPF', 'elk.layered.spacing.baseValue': '28' },
  { 'elk.layered.nodePlacement.strategy': 'SIMPLE', 'elk.layered.spacing.baseValue': '40' },
]

const common = {
  'elk.algorithm': 'layered',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.json.shapeCoords': 'ROOT',
  'elk.json.edgeCoords': 'ROOT',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.spacing.nodeNode': '22',
  'elk.spacing.edgeNode': '14',
  'elk.spacing.edgeEdge': '11',
  'elk.spacing.edgeLabel': '4',
  'elk.spacing.labelLabel': '6',
  'elk.layered.spacing.nodeNodeBetweenLayers': '16',
  'elk.layered.spacing.edgeNodeBetweenLayers': '11',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '8',
}

/** @throws Error when no layout could be made */
export const placeChart = async (
  chart: Chart,
  direction: Direction,
  measure: Measure,
  layout: Layout,
): Promise<Geometry> => {
  const margins = new Map<string, number>()
  let best: Geometry | undefined
  let failure: unknown
  for (const attempt of attempts) {
    try {
      const options = { ...common, 'elk.direction': direction, ...attempt }
      const lay = async () => read(chart, measure, await layout(graphOf(chart, measure, margins), options))
      let geometry = await lay()
      if (widen(geometry, margins)) geometry = await lay()
      if (overlapsIn(geometry).length === 0) return geometry
      best ??= geometry
    } catch (thrown) {
      failure = thrown
    }
  }
  if (best === undefined) throw failure
  return best
}

const inside = (path: string): string => `state:${path}`

const graphOf = (chart: Chart, measure: Measure, margins: ReadonlyMap<string, number>): ElkNode => {
  const drawn = arrowsOf(chart)
  const order = new Map(statesOf(chart.root).map(({ path }, i) => [path, i]))
  const isForward = (from: string, to: string): boolean => (order.get(from) ?? 0) < (order.get(to) ?? 0)
  const edgesIn = new Map<string, ElkEdge[]>()
  const put = (container: string, edge: ElkEdge): void => {
    const edges = edgesIn.get(container)
    if (edges === undefined) edgesIn.set(container, [edge])
    else edges.push(edge)
  }

  for (const arrow of drawn) {
    const begin = beginsAtPill(arrow) ? `any:${arrow.source}` : inside(arrow.source)
    const label = { text: arrow.id, ...labelBox(arrow, measure) }
    arrow.targets.forEach((target, i) => {
      const end = isWithin(arrow.source, target) ? `any:${target}` : inside(target)
      put(commonAncestor(arrow.source, target), {
        id: `${arrow.id}>${i}`,
        sources: [begin],
        targets: [end],
        layoutOptions: { 'elk.layered.priority.direction': isForward(arrow.source, target) ? '10' : '1' },
        labels: i === 0 ? [{ ...label, layoutOptions: { 'elk.edgeLabels.inline': 'true' } }] : [],
      })
    })
  }

  const pills = new Set(
    drawn.flatMap((each) => [
      ...(beginsAtPill(each) ? [each.source] : []),
      ...each.targets.filter((target) => isWithin(each.source, target)),
    ]),
  )
  const nodeOf = (state: ChartState): ElkNode => {
    const head = headOf(state, measure)
    if (state.states.length === 0) return { id: inside(state.path), ...head }
    const children = state.states.map(nodeOf)
    if (pills.has(state.path)) children.unshift({ id: `any:${state.path}`, width: 34, height: 18 })
    if (state.initial !== undefined) {
      children.unshift({ id: `initial:${state.path}`, width: 10, height: 10 })
      put(state.path, {
        id: `initial:${state.path}`,
        sources: [`initial:${state.path}`],
        targets: [inside(state.initial)],
        layoutOptions: { 'elk.layered.priority.direction': '100' },
      })
    }
    const side = 18 + (margins.get(state.path) ?? 0)
    return {
      id: inside(state.path),
      children,
      edges: edgesIn.get(state.path) ?? [],
      layoutOptions: {
        'elk.padding': `[top=${head.height + 14},left=${side},bottom=18,right=${side}]`,
      },
    }
  }
  const root = nodeOf(chart.root)
  return { id: 'chart', children: [root], layoutOptions: { 'elk.padding': '[top=8,left=8,bottom=8,right=8]' } }
}

/** The innermost state that both lie in; a state lies in itself when the other one is inside it. */
const commonAncestor = (one: string, other: string): string => {
  if (isWithin(other, one)) return one
  if (isWithin(one, other)) return other
  let path = parentOf(one)
  while (!isWithin(other, path)) path = parentOf(path)
  return path
}

const read = (chart: Chart, measure: Measure, placed: ElkNode): Geometry => {
  const nodes = new Map<string, ElkNode>()
  const edges = new Map<string, ElkEdge>()
  const walk = (node: ElkNode): void => {
    nodes.set(node.id, node)
    for (const edge of node.edges ?? []) edges.set(edge.id, edge)
    for (const child of node.children ?? []) walk(child)
  }
  walk(placed)

  const all = statesOf(chart.root)
  const rectangle = (id: string): Rectangle => {
    const { x = 0, y = 0, width = 0, height = 0 } = nodes.get(id) ?? { id }
    return { x, y, width, height }
  }
  return {
    width: placed.width ?? 0,
    height: placed.height ?? 0,
    states: all.map((state) => ({ state, head: headOf(state, measure), ...rectangle(inside(state.path)) })),
    edges: arrowsOf(chart).map((arrow) => {
      const parts = arrow.targets.map((_, i) => edges.get(`${arrow.id}>${i}`))
      const { x = 0, y = 0, width = 0, height = 0 } = parts[0]?.labels?.[0] ?? { width: 0, height: 0 }
      return { arrow, lines: parts.map(pointsOf), label: { x, y, width, height } }
    }),
    marks: [...nodes.keys()].flatMap((id): PlacedMark[] => {
      const [, kind, path = ''] = /^(initial|any):(.*)$/.exec(id) ?? []
      if (kind !== 'initial' && kind !== 'any') return []
      return [{ kind, path, ...rectangle(id), line: pointsOf(edges.get(`initial:${path}`)) }]
    }),
  }
}

const pointsOf = (edge: ElkEdge | undefined): readonly Point[] =>
  (edge?.sections ?? []).flatMap(({ startPoint, bendPoints = [], endPoint }) => [startPoint, ...bendPoints, endPoint])

/** ELK does not keep to a minimum width here: states whose text is wider than they are get a wider margin. */
const widen = ({ states }: Geometry, margins: Map<string, number>): boolean => {
  const narrow = states.filter(({ width, head }) => width < head.width)
  for (const { state, width, head } of narrow) {
    margins.set(state.path, (margins.get(state.path) ?? 0) + Math.ceil((head.width - width) / 2))
  }
  return narrow.length > 0
}

/** Pairs that cover each other without one lying inside the other, below its text. */
export const overlapsIn = ({ states, edges, marks }: Geometry): readonly (readonly [string, string])[] => {
  const boxes: readonly Named[] = [
    ...states.map(({ state, head, ...box }) => ({
      ...box,
      name: inside(state.path),
      room: state.states.length > 0 ? box.y + head.height : undefined,
    })),
    ...edges.map(({ arrow, label }) => ({ ...label, name: `label:${arrow.id}`, room: undefined })),
    ...marks.map(({ kind, path, ...box }) => ({ ...box, name: `${kind}:${path}`, room: undefined })),
  ]
  return boxes.flatMap((one, i) =>
    boxes
      .slice(i + 1)
      .filter((other) => !(areApart(one, other) || holds(one, other) || holds(other, one)))
      .map((other): readonly [string, string] => [one.name, other.name]),
  )
}

interface Named extends Rectangle {
  readonly name: string
  /** Where the room for others begins; none where nothing may lie inside. */
  readonly room: number | undefined
}

const areApart = (one: Rectangle, other: Rectangle): boolean =>
  one.x + one.width <= other.x ||
  other.x + other.width <= one.x ||
  one.y + one.height <= other.y ||
  other.y + other.height <= one.y

const holds = (outer: Named, inner: Named): boolean =>
  outer.room !== undefined &&
  inner.x >= outer.x &&
  inner.y >= outer.room &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height
