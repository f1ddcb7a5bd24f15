import type { Point } from './elk.ts'

const radius = 6

/** An orthogonal line with rounded corners, as the `d` of an SVG path. */
export const roundedPath = (points: readonly Point[]): string => {
  const [first] = points
  if (first === undefined) return ''
  const parts = [`M${point(first)}`]
  points.forEach((corner, i) => {
    const before = points[i - 1]
    const after = points[i + 1]
    if (before === undefined) return
    if (after === undefined) {
      parts.push(`L${point(corner)}`)
      return
    }
    parts.push(`L${point(towards(corner, before))}Q${point(corner)} ${point(towards(corner, after))}`)
  })
  return parts.join('')
}

/** The tip at the end of the line, as the points of an SVG polygon. */
export const arrowTip = (points: readonly Point[]): string => {
  const end = points.at(-1)
  const before = points.at(-2)
  if (end === undefined || before === undefined) return ''
  const length = Math.hypot(end.x - before.x, end.y - before.y) || 1
  const [dx, dy] = [(end.x - before.x) / length, (end.y - before.y) / length]
  const base = { x: end.x - dx * 8, y: end.y - dy * 8 }
  return [end, { x: base.x - dy * 4, y: base.y + dx * 4 }, { x: base.x + dy * 4, y: base.y - dx * 4 }]
    .map(point)
    .join(' ')
}

const towards = (from: Point, to: Point): Point => {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1
  const step = Math.min(radius, length / 2)
  return { x: from.x + ((to.x - from.x) / length) * step, y: from.y + ((to.y - from.y) / length) * step }
}

const point = ({ x, y }: Point): string => `${round(x)},${round(y)}`

const round = (value: number): number => Math.round(value * 10) / 10
