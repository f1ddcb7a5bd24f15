/// <reference lib="dom" />
/** Functions that run within the page: each is sent there as text, and knows nothing of this file. */

interface Violation {
  readonly id: string
  readonly impact: string | null
  readonly nodes: readonly { readonly target: readonly unknown[]; readonly failureSummary?: string }[]
}

declare const axe: { run(part: string, options: object): Promise<{ readonly violations: readonly Violation[] }> }

export const runAxe = async (part: string): Promise<readonly string[]> => {
  const { violations } = await axe.run(part, { resultTypes: ['violations'] })
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id} ${target.join(' ')}: ${failureSummary}`),
    )
}

export interface Box {
  readonly name: string
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

/** Where everything of the statechart is within its pane: states with the end of their own text, labels, dots. */
export const drawnChart = (): {
  readonly hash: string
  readonly paths: readonly string[]
  readonly edges: readonly string[]
  readonly states: readonly (Box & { readonly textBottom: number })[]
  readonly labels: readonly Box[]
  readonly on: readonly string[]
} => {
  const svg = document.querySelector('[data-chart]')
  const all = (selector: string): readonly SVGGraphicsElement[] => [
    ...(svg?.querySelectorAll<SVGGraphicsElement>(selector) ?? []),
  ]
  const boxOf = (element: Element, name: string): Box => {
    const { left, top, right, bottom } = element.getBoundingClientRect()
    const { x, y } = svg?.getBoundingClientRect() ?? { x: 0, y: 0 }
    return { name, left: left - x, top: top - y, right: right - x, bottom: bottom - y }
  }
  /** Around a frame and its text, which may stick out. */
  const around = (elements: readonly Element[], name: string): Box => {
    const boxes = elements.map((element) => boxOf(element, name))
    const [left, top] = [Math.min(...boxes.map((box) => box.left)), Math.min(...boxes.map((box) => box.top))]
    const [right, bottom] = [Math.max(...boxes.map((box) => box.right)), Math.max(...boxes.map((box) => box.bottom))]
    return { name, left, top, right, bottom }
  }
  return {
    hash: svg?.getAttribute('data-chart') ?? '',
    paths: all('[data-path]').map(({ dataset }) => dataset['path'] ?? ''),
    edges: all('[data-edge]').map(({ dataset }) => dataset['edge'] ?? ''),
    states: all('.state').map((state) => {
      const body = state.querySelector(':scope > .body') ?? state
      const head = state.querySelector(':scope > .head')
      const name = `state ${state.dataset['path']}`
      const box = around([body, ...state.querySelectorAll(':scope > text, :scope > g > text')], name)
      return { ...box, textBottom: boxOf(head ?? body, name).bottom }
    }),
    labels: [
      ...all('.edge').map((edge) => around([...edge.querySelectorAll('.label, text')], `label ${edge.textContent}`)),
      ...all('.mark > .dot, .mark > .pill').map((mark, i) => boxOf(mark, `mark ${i}`)),
    ],
    on: all('.state.on').map(({ dataset }) => dataset['path'] ?? ''),
  }
}

/** Resolves with how many ms after the click on `button` the chart had `path` lit. */
export const litAfterClick = async ({ button, path }: { button: string; path: string }): Promise<number> => {
  const state = document.querySelector(`.state[data-path="${path}"]`)
  if (state === null) throw new Error(`no state ${path} is drawn`)
  const began = performance.now()
  document.querySelector<HTMLElement>(button)?.click()
  return new Promise((resolve) => {
    const look = (): void => {
      if (state.classList.contains('on')) resolve(performance.now() - began)
      else requestAnimationFrame(look)
    }
    look()
  })
}

/** How wide the page is beyond the screen. */
export const overflow = (): number => document.documentElement.scrollWidth - window.innerWidth

export const nodes = (): number => document.querySelectorAll('*').length

/** Opens a socket to the inspector, sends the frame, and resolves with the code it is closed with; 0 when it is answered. */
export const closeCode = (frame: string): Promise<number> =>
  new Promise((resolve) => {
    const socket = new WebSocket(new URL('ws', document.baseURI).href.replace('http', 'ws'))
    let greeted = false
    socket.onclose = ({ code }) => resolve(code)
    socket.onmessage = () => {
      if (greeted) {
        resolve(0)
        socket.close()
        return
      }
      greeted = true
      socket.send(frame)
    }
  })

/** Opens a socket to the inspector, sends the frame, and resolves with what it is answered. */
export const answerTo = (frame: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(new URL('ws', document.baseURI).href.replace('http', 'ws'))
    socket.onerror = () => reject(new Error('no connection'))
    socket.onmessage = ({ data }) => {
      if (!String(data).startsWith('{"type":"ack"')) return socket.send(frame)
      socket.close()
      resolve(String(data))
    }
  })

/** Whether a socket to the address opens. */
export const opens = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = new WebSocket(address)
    socket.onopen = () => resolve(true)
    socket.onerror = () => resolve(false)
  })

/** Resolves when what has changed so far is on the screen. */
export const drawn = (): Promise<unknown> =>
  new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
