/** What we use of ELK's JSON: https://eclipse.dev/elk/documentation/tooldevelopers/graphdatastructure/jsonformat.html */
export interface ElkNode {
  id: string
  x?: number
  y?: number
  width?: number
  height?: number
  layoutOptions?: Record<string, string>
  children?: ElkNode[]
  edges?: ElkEdge[]
}

export interface ElkEdge {
  id: string
  sources: string[]
  targets: string[]
  labels?: ElkLabel[]
  layoutOptions?: Record<string, string>
  sections?: { startPoint: Point; endPoint: Point; bendPoints?: Point[] }[]
}

export interface ElkLabel {
  text: string
  x?: number
  y?: number
  width: number
  height: number
  layoutOptions?: Record<string, string>
}

export interface Point {
  x: number
  y: number
}

export type Layout = (graph: ElkNode, options: Record<string, string>) => Promise<ElkNode>

/**
 * ELK in its own Web Worker, whose file is served as it was published. One worker for the page, started with the first
 * layout.
 */
export const elkWorker = (url: string | URL): Layout => {
  const waiting = new Map<number, { resolve(graph: ElkNode): void; reject(error: Error): void }>()
  let worker: Worker | undefined
  let last = 0

  const fail = (message: string): void => {
    worker?.terminate()
    worker = undefined
    for (const { reject } of waiting.values()) reject(new Error(message))
    waiting.clear()
  }
  const start = (): Worker => {
    const started = new Worker(url)
    started.onerror = () => fail('The layout worker could not be loaded.')
    started.onmessage = ({ data }: MessageEvent<{ id: number; error?: unknown; data: ElkNode }>) => {
      const asked = waiting.get(data.id)
      waiting.delete(data.id)
      if (data.error === undefined) asked?.resolve(data.data)
      else asked?.reject(new Error('The layout failed.'))
    }
    started.postMessage({ id: 0, cmd: 'register', algorithms: ['layered'] })
    return started
  }

  return (graph, layoutOptions) =>
    new Promise((resolve, reject) => {
      worker ??= start()
      last += 1
      waiting.set(last, { resolve, reject })
      worker.postMessage({ id: last, cmd: 'layout', graph, layoutOptions, options: {} })
    })
}
