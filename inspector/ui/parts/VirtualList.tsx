import { useSignal } from '@preact/signals'
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'

/**
 * A long list of which only what can be seen is in the document. Rows are all equally high.
 *
 * With `follow` it stays at its end as rows are added, until somebody scrolls away from the end; scrolling back to it
 * starts that again. Rows that vanish at the top do not move those that are being read.
 */
export interface VirtualListProps {
  readonly count: number
  readonly rowHeight: number
  /** How many rows have vanished at the top since the beginning; only its changes matter. */
  readonly gone?: number
  readonly follow?: { readonly value: boolean; set(follow: boolean): void }
  readonly label: string
  readonly role?: 'list' | 'tree' | 'table'
  /** Scrolls so that this row can be seen when it changes. */
  readonly reveal?: number | undefined
  readonly class?: string
  readonly head?: ComponentChildren
  readonly width?: number
  row(index: number, top: number): ComponentChildren
}

const spare = 6
const endsWithin = 4

export const VirtualList = (props: VirtualListProps): JSX.Element => {
  const { count, rowHeight, follow, gone = 0, reveal } = props
  const box = useRef<HTMLDivElement>(null)
  const top = useSignal(0)
  const height = useSignal(400)
  const lastGone = useRef(gone)
  const ownScroll = useRef(-1)

  const scrollTo = (to: number): void => {
    const element = box.current
    if (element === null) return
    element.scrollTop = to
    ownScroll.current = element.scrollTop
    top.value = element.scrollTop
  }

  useEffect(() => {
    const element = box.current
    if (element === null) return
    const observer = new ResizeObserver(() => {
      height.value = element.clientHeight
    })
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  useLayoutEffect(() => {
    const element = box.current
    if (element === null) return
    const shift = gone - lastGone.current
    lastGone.current = gone
    if (follow?.value === true) scrollTo(element.scrollHeight)
    else if (shift !== 0 && follow !== undefined) scrollTo(Math.max(0, element.scrollTop - shift * rowHeight))
  }, [count, gone, follow?.value, height.value])

  useLayoutEffect(() => {
    const element = box.current
    if (element === null || reveal === undefined || reveal < 0) return
    const at = reveal * rowHeight
    if (at < element.scrollTop || at + rowHeight > element.scrollTop + element.clientHeight - headHeight(element)) {
      scrollTo(Math.max(0, at - element.clientHeight / 2))
    }
  }, [reveal])

  const onScroll = (): void => {
    const element = box.current
    if (element === null) return
    top.value = element.scrollTop
    if (element.scrollTop === ownScroll.current) return
    ownScroll.current = -1
    const atEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - endsWithin
    if (follow !== undefined && follow.value !== atEnd) follow.set(atEnd)
  }

  const first = Math.max(0, Math.floor(top.value / rowHeight) - spare)
  const last = Math.min(count, Math.ceil((top.value + height.value) / rowHeight) + spare)
  const rows = Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i)
  return (
    <div
      class={`scroll ${props.class ?? ''}`}
      ref={box}
      onScroll={onScroll}
      role={props.role ?? 'list'}
      aria-label={props.label}
      tabIndex={0}
    >
      {props.head}
      <div
        class="rows"
        role="presentation"
        style={{ height: `${count * rowHeight}px`, minWidth: `${props.width ?? 0}px` }}
      >
        {rows.map((index) => props.row(index, index * rowHeight))}
      </div>
    </div>
  )
}

const headHeight = (element: Element): number => element.querySelector('.head')?.clientHeight ?? 0
