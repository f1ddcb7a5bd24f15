import { computed, effect, signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { SendForm } from '../parts/SendForm.tsx'
import { stateText } from '../state/actors.ts'
import { direction, large } from '../state/address.ts'
import { actors, actorsTurn, definitions, fired, selected } from '../state/store.ts'
import { canvasMeasure } from './boxes.ts'
import { Drawing } from './Drawing.tsx'
import { elkWorker } from './elk.ts'
import { type Direction, type Geometry, type PlacedState, placeChart } from './geometry.ts'
import { highlightIn } from './highlight.ts'
import { keepGeometry, readGeometry } from './keep.ts'
import { type Chart, chartOf } from './model.ts'
import { Outline } from './Outline.tsx'
import { fitChart, followActive, startPanning, zoomBy } from './viewport.ts'

const measure = canvasMeasure()
const layout = elkWorker(new URL(layoutWorkerFile, document.baseURI))

type Drawn = { readonly chart: Chart; readonly geometry: Geometry | undefined }

/** By definition and direction; what is drawn once is never laid out again. */
const cache = signal<ReadonlyMap<string, Drawn>>(new Map())
const started = new Set<string>()

const keyOf = (chart: Chart, to: Direction): string => `${chart.hash} ${to}`

const place = async (chart: Chart, to: Direction): Promise<void> => {
  const key = keyOf(chart, to)
  if (started.has(key)) return
  started.add(key)
  const kept = readGeometry(key, chart)
  const geometry = kept ?? (await placeChart(chart, to, measure, layout).catch(() => undefined))
  if (kept === undefined && geometry !== undefined) keepGeometry(key, geometry)
  cache.value = new Map(cache.peek()).set(key, { chart, geometry })
}

const view = computed(() => {
  actorsTurn.value
  return selected.value === undefined ? undefined : actors.get(selected.value)
})

const definition = computed(() => {
  const hash = view.value?.defId
  return hash === undefined ? undefined : definitions.value.get(hash)
})

const drawn = computed((): Drawn | undefined => {
  if (definition.value === undefined) return undefined
  return cache.value.get(`${definition.value.hash} ${direction.value}`)
})

effect(() => {
  if (definition.value !== undefined) void place(chartOf(definition.value), direction.value)
})

const sending = signal(false)

export const ChartPane = (): JSX.Element => {
  const actor = view.value
  const active = actor?.status === 'active'
  return (
    <section class={large.value ? 'chart large' : 'chart'} aria-label="Statechart">
      <div class="pane-head">
        <h2>{actor?.id ?? 'No actor'}</h2>
        {actor !== undefined && <span class={`chip status-${actor.status}`}>{stateText(actor) || actor.status}</span>}
        <span class="grow" />
        {active && (
          <button
            type="button"
            class={sending.value ? 'small pressed' : 'small'}
            aria-pressed={sending.value}
            onClick={() => {
              sending.value = !sending.value
            }}
          >
            Send an event…
          </button>
        )}
        {definition.value !== undefined && <ChartTools />}
      </div>
      {actor !== undefined && active && sending.value && <SendForm key={actor.sessionId} actor={actor} />}
      <Canvas />
    </section>
  )
}

const ChartTools = (): JSX.Element => (
  <span class="tools">
    <button
      type="button"
      class="small"
      onClick={() => {
        direction.value = direction.value === 'DOWN' ? 'RIGHT' : 'DOWN'
      }}
    >
      {direction.value === 'DOWN' ? 'Down ↓' : 'Right →'}
    </button>
    <button type="button" class="small" title="What is active" onClick={() => fitChart('active')}>
      Active
    </button>
    <button type="button" class="small" title="All of it" onClick={() => fitChart('whole')}>
      Whole
    </button>
    <button type="button" class="small" aria-label="Smaller" onClick={() => zoomBy(1 / 1.25)}>
      −
    </button>
    <button type="button" class="small" aria-label="Larger" onClick={() => zoomBy(1.25)}>
      +
    </button>
    <button
      type="button"
      class={large.value ? 'small pressed' : 'small'}
      aria-pressed={large.value}
      aria-label="Over the whole page"
      title="Over the whole page (m)"
      onClick={() => {
        large.value = !large.value
      }}
    >
      ⤢
    </button>
  </span>
)

const Canvas = (): JSX.Element => {
  const current = drawn.value
  const actor = view.value
  if (actor === undefined) return <p class="empty">Choose an actor on the left.</p>
  if (actor.defId === undefined) return <NoChart kind={actor.kind} />
  if (current === undefined) return <p class="empty">Drawing…</p>
  if (current.geometry === undefined) return <Outline chart={current.chart} active={actor.active ?? []} />
  return <Plan chart={current.chart} geometry={current.geometry} />
}

const NoChart = ({ kind }: { kind: string }): JSX.Element => (
  <p class="empty">
    A {kind} actor has no states of its own. Its events are below, and what it was given is under Snapshot.
  </p>
)

/** The innermost active state. */
const focusOf = ({ states }: Geometry): PlacedState | undefined => {
  const leaf = view.peek()?.active?.at(-1)
  return states.find(({ state }) => state.path === leaf)
}

const Plan = ({ chart, geometry }: { chart: Chart; geometry: Geometry }): JSX.Element => {
  const svg = useRef<SVGSVGElement>(null)
  useEffect(
    () => (svg.current === null ? undefined : startPanning(svg.current, geometry, () => focusOf(geometry))),
    [geometry],
  )
  useEffect(() => {
    if (svg.current === null) return
    const highlight = highlightIn(svg.current)
    const undoShow = effect(() => {
      highlight.show(view.value?.active ?? [])
      followActive()
    })
    const undoFlash = effect(() => {
      const flash = fired.value
      if (flash !== undefined && flash.sessionId === selected.peek())
        for (const edge of flash.edges) highlight.flash(edge)
    })
    return () => {
      undoShow()
      undoFlash()
    }
  }, [geometry])
  return (
    <svg ref={svg} class="plan" role="img" aria-label={`Statechart of ${chart.root.key}`} data-chart={chart.hash}>
      <Drawing geometry={geometry} measure={measure} />
    </svg>
  )
}
