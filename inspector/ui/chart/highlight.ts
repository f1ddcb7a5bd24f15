/**
 * Shows in a drawn chart what is active. Only classes change: nothing is laid out and nothing is rendered again.
 */
export interface Highlight {
  /** `on` for these states and the root, `can` for transitions that start in one of them. */
  show(active: readonly string[]): void
  /** `fired` for this transition, for a moment. */
  flash(edge: string): void
}

const flashMs = 900

export const highlightIn = (drawing: Element): Highlight => {
  const states = new Map<string, Element>()
  for (const element of drawing.querySelectorAll<SVGElement>('[data-path]'))
    states.set(element.dataset['path'] ?? '', element)
  const edges = new Map<string, { from: string; parts: readonly Element[] }>()
  for (const element of drawing.querySelectorAll<SVGElement>('[data-edge]')) {
    const arrow = element.closest('.edge')
    const parts = arrow === null ? [element] : [element, arrow]
    edges.set(element.dataset['edge'] ?? '', { from: element.dataset['from'] ?? '', parts })
  }
  const fading = new Map<Element, number>()
  let shown = ''

  return {
    show: (active) => {
      const key = active.join()
      if (key === shown) return
      shown = key
      const on = new Set(active.length > 0 ? ['', ...active] : [])
      for (const [path, element] of states) element.classList.toggle('on', on.has(path))
      for (const { from, parts } of edges.values()) for (const part of parts) part.classList.toggle('can', on.has(from))
    },
    flash: (edge) => {
      for (const part of edges.get(edge)?.parts ?? []) {
        window.clearTimeout(fading.get(part))
        part.classList.add('fired')
        fading.set(
          part,
          window.setTimeout(() => part.classList.remove('fired'), flashMs),
        )
      }
    },
  }
}
