import type { JSX } from 'preact'
import { blocksOf, gap, type Line, labelOf, lineHeight, type Measure, titleOf } from './boxes.ts'
import type { Geometry, PlacedEdge, PlacedMark, PlacedState } from './geometry.ts'
import { arrowTip, roundedPath } from './paths.ts'

/**
 * The chart as SVG, drawn once. What is active is shown by classes that `highlight.ts` toggles: `on` for states, `can`
 * for transitions that could fire, `fired` for the one that did.
 */
export const Drawing = ({ geometry, measure }: { geometry: Geometry; measure: Measure }): JSX.Element => {
  const outer = geometry.states.filter(({ state }) => state.states.length > 0)
  const leaves = geometry.states.filter(({ state }) => state.states.length === 0)
  return (
    <g>
      {outer.map((placed) => (
        <State key={placed.state.path} placed={placed} measure={measure} />
      ))}
      {geometry.marks.map((mark) => (
        <Mark key={`${mark.kind}:${mark.path}`} mark={mark} />
      ))}
      {geometry.edges.map((edge) => (
        <Arrow key={edge.arrow.id} edge={edge} measure={measure} />
      ))}
      {leaves.map((placed) => (
        <State key={placed.state.path} placed={placed} measure={measure} />
      ))}
    </g>
  )
}

const State = ({ placed, measure }: { placed: PlacedState; measure: Measure }): JSX.Element => {
  const { state, x, y, width, height, head } = placed
  const compound = state.states.length > 0
  const r = 8
  const kind = `${compound ? 'compound' : 'leaf'} ${state.type}`
  return (
    <g class={`state ${kind}`} data-path={state.path} transform={`translate(${x},${y})`}>
      <rect class="body" width={width} height={height} rx={r} />
      {compound && (
        <path
          class="head"
          d={`M0,${head.height}V${r}a${r},${r} 0 0 1 ${r},${-r}H${width - r}a${r},${r} 0 0 1 ${r},${r}V${head.height}Z`}
        />
      )}
      {state.type === 'final' && <rect class="rim" x={3} y={3} width={width - 6} height={height - 6} rx={r - 2} />}
      <Text line={titleOf(state)} x={12} y={19} measure={measure} />
      {blocksOf(state, measure).flatMap((block) =>
        block.lines.map((line, i) => {
          const y = block.y + i * lineHeight
          return <Text key={`${block.x} ${y}`} line={line} x={block.x} y={y} measure={measure} from={state.path} />
        }),
      )}
    </g>
  )
}

const Arrow = ({ edge: { arrow, lines, label }, measure }: { edge: PlacedEdge; measure: Measure }): JSX.Element => {
  const failing = arrow.transitions.every(({ kind }) => kind === 'error')
  return (
    <g class={failing ? 'edge failing' : 'edge'}>
      {lines.map((points) => (
        <g key={roundedPath(points)}>
          <path class="wire" d={roundedPath(points)} />
          <polygon class="tip" points={arrowTip(points)} />
        </g>
      ))}
      <rect class="label" x={label.x} y={label.y} width={label.width} height={label.height} rx={5} />
      {labelOf(arrow).map((line, i) => (
        <Text key={i} line={line} x={label.x + 7} y={label.y + 14 + i * 14} measure={measure} from={arrow.source} />
      ))}
    </g>
  )
}

const Mark = ({ mark: { kind, x, y, width, height, line } }: { mark: PlacedMark }): JSX.Element =>
  kind === 'initial' ? (
    <g class="mark">
      <path class="wire" d={roundedPath(line)} />
      <polygon class="tip" points={arrowTip(line)} />
      <circle class="dot" cx={x + width / 2} cy={y + height / 2} r={5} />
    </g>
  ) : (
    <g class="mark">
      <rect class="pill" x={x} y={y} width={width} height={height} rx={9} />
      <text x={x + width / 2} y={y + 13} class="t-badge" text-anchor="middle">
        any
      </text>
    </g>
  )

const Text = (props: { line: Line; x: number; y: number; measure: Measure; from?: string }): JSX.Element => {
  let { x } = props
  return (
    <>
      {props.line.map(({ text, look, edge }, i) => {
        const at = x
        const width = props.measure(text, look)
        x += width + gap + (look === 'badge' ? 10 : 0)
        return look === 'badge' ? (
          <g key={i}>
            <rect class="badge" x={at + 2} y={props.y - 11} width={width + 8} height={15} rx={7.5} />
            <text class="t-badge" x={at + 6} y={props.y}>
              {text}
            </text>
          </g>
        ) : (
          <text key={i} class={`t-${look}`} x={at} y={props.y} data-edge={edge} data-from={edge && props.from}>
            {text}
          </text>
        )
      })}
    </>
  )
}
