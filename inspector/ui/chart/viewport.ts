import type { Box } from './boxes.ts'
import type { Rectangle } from './geometry.ts'

/**
 * What part of the chart is seen. Where all of it is, it is fitted anew when the pane changes; otherwise nothing moves,
 * unless what is active would be out of sight.
 */
interface View {
  x: number
  y: number
  scale: number
}

const largestFit = 1.1
/** Smaller than this nobody reads it: then a part is shown, around what is active. */
const smallestFit = 0.7
const [smallest, largest] = [0.15, 3]

let current:
  | { svg: SVGSVGElement; chart: Box; focus(): Rectangle | undefined; view: View; fit: 'active' | 'whole' | 'own' }
  | undefined

const show = (): void => {
  if (current === undefined) return
  const { svg, view } = current
  const { width, height } = svg.getBoundingClientRect()
  if (width > 0) svg.setAttribute('viewBox', `${view.x} ${view.y} ${width / view.scale} ${height / view.scale}`)
}

export const fitChart = (what: 'active' | 'whole'): void => {
  if (current === undefined) return
  const { svg, chart } = current
  const { width, height } = svg.getBoundingClientRect()
  if (width === 0) return
  const whole = Math.min(width / chart.width, height / chart.height)
  const scale = Math.min(largestFit, what === 'whole' ? whole : Math.max(smallestFit, whole))
  const focus = current.focus()
  current.fit = what
  current.view = {
    scale,
    x: along(chart.width, width / scale, focus && focus.x + focus.width / 2),
    y: along(chart.height, height / scale, focus && focus.y + focus.height / 2),
  }
  show()
}

/** Where the seen part begins: in the middle of what fits, otherwise around a point, within the chart. */
const along = (whole: number, seen: number, around = 0): number =>
  seen >= whole ? (whole - seen) / 2 : Math.min(whole - seen, Math.max(0, around - seen / 2))

export const zoomBy = (factor: number, at?: { x: number; y: number }): void => {
  if (current === undefined) return
  const { svg, view } = current
  const box = svg.getBoundingClientRect()
  const [px, py] = [(at?.x ?? box.left + box.width / 2) - box.left, (at?.y ?? box.top + box.height / 2) - box.top]
  const scale = Math.min(largest, Math.max(smallest, view.scale * factor))
  current.view = { scale, x: view.x + px / view.scale - px / scale, y: view.y + py / view.scale - py / scale }
  current.fit = 'own'
  show()
}

/** Brings what is active back into sight, unless somebody has chosen what to see. */
export const followActive = (): void => {
  if (current === undefined) return
  const { svg, view, fit } = current
  const { width, height } = svg.getBoundingClientRect()
  const focus = current.focus()
  const isSeen =
    focus === undefined ||
    (focus.x >= view.x &&
      focus.y >= view.y &&
      focus.x + focus.width <= view.x + width / view.scale &&
      focus.y + focus.height <= view.y + height / view.scale)
  if (fit === 'active' && !isSeen) fitChart('active')
  else show()
}

/** Lets the chart be dragged and zoomed; returns the undo. */
export const startPanning = (svg: SVGSVGElement, chart: Box, focus: () => Rectangle | undefined): (() => void) => {
  current = { svg, chart, focus, view: { x: 0, y: 0, scale: 1 }, fit: 'active' }
  fitChart('active')
  const observer = new ResizeObserver(() => (current?.fit === 'whole' ? fitChart('whole') : followActive()))
  observer.observe(svg)

  let from: { x: number; y: number } | undefined
  const down = ({ clientX, clientY, pointerId, button }: PointerEvent): void => {
    if (button !== 0) return
    from = { x: clientX, y: clientY }
    svg.setPointerCapture(pointerId)
  }
  const move = ({ clientX, clientY }: PointerEvent): void => {
    if (from === undefined || current === undefined) return
    const { view } = current
    current.view = {
      ...view,
      x: view.x - (clientX - from.x) / view.scale,
      y: view.y - (clientY - from.y) / view.scale,
    }
    current.fit = 'own'
    from = { x: clientX, y: clientY }
    show()
  }
  const up = (): void => {
    from = undefined
  }
  const wheel = (turned: WheelEvent): void => {
    turned.preventDefault()
    if (turned.ctrlKey || turned.metaKey) {
      zoomBy(Math.exp(-turned.deltaY / 300), { x: turned.clientX, y: turned.clientY })
    } else if (current !== undefined) {
      const { view } = current
      current.view = { ...view, x: view.x + turned.deltaX / view.scale, y: view.y + turned.deltaY / view.scale }
      current.fit = 'own'
      show()
    }
  }
  svg.addEventListener('pointerdown', down)
  svg.addEventListener('pointermove', move)
  svg.addEventListener('pointerup', up)
  svg.addEventListener('pointercancel', up)
  svg.addEventListener('wheel', wheel, { passive: false })
  return () => observer.disconnect()
}
