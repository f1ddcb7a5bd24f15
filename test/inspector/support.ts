import { type ClientOptions, WebSocket } from 'ws'
import { type AnyActorRef, assign, createActor, fromPromise, setup } from 'xstate'
import { createInspector, type Inspector, type InspectorOptions } from '../../inspector/index.ts'
import type { Message } from '../../inspector/protocol/actors.ts'
import type { Ack, Batch, ClientMessage, Hello, ServerMessage, Watch } from '../../inspector/protocol.ts'
import { until } from '../support/until.ts'

/** A viewer without a browser: says what it is told to, keeps what it hears. */
export interface TestViewer {
  readonly frames: readonly string[]
  heard<Type extends ServerMessage['type']>(type: Type): Extract<ServerMessage, { type: Type }>[]
  /** All messages of all batches. */
  messages(): Message[]
  of<Type extends Message['type']>(type: Type): Extract<Message, { type: Type }>[]
  say(message: ClientMessage): void
  sayText(text: string): void
  watch(watch: Partial<Watch>): void
  ask(message: Record<string, unknown>): Promise<Ack>
  hello(): Promise<Hello>
  readonly closed: Promise<number>
  close(): Promise<void>
  readonly socket: WebSocket
}

export const openViewer = async (
  page: string,
  options: ClientOptions = {},
  protocols: string[] = [],
): Promise<TestViewer> => {
  const socket = new WebSocket(`${page.replace(/^http/, 'ws')}ws`, protocols, options)
  const frames: string[] = []
  const parsed: ServerMessage[] = []
  const closed = new Promise<number>((resolve) => socket.on('close', resolve))
  let asked = 0
  socket.on('message', (data) => {
    frames.push(String(data))
    parsed.push(JSON.parse(String(data)) as ServerMessage)
  })
  await new Promise<void>((resolve, reject) => {
    socket.on('open', resolve)
    socket.on('error', reject)
  })
  const heard = <Type extends ServerMessage['type']>(type: Type) =>
    parsed.filter((message): message is Extract<ServerMessage, { type: Type }> => message.type === type)
  const messages = (): Message[] => heard('batch').flatMap((batch: Batch) => batch.msgs)
  const sayText = (text: string): void => socket.send(text)
  return {
    frames,
    socket,
    closed,
    heard,
    messages,
    of: (type) =>
      messages().filter((message): message is Extract<Message, { type: typeof type }> => message.type === type),
    sayText,
    say: (message) => sayText(JSON.stringify(message)),
    watch: (watch) =>
      sayText(JSON.stringify({ type: 'watch', events: 'none', snapshots: 'none', states: false, ...watch })),
    ask: (message) => {
      const id = `q${++asked}`
      sayText(JSON.stringify({ ...message, id }))
      return until(() => heard('ack').find((ack) => ack.id === id))
    },
    hello: () => until(() => heard('hello').at(-1)),
    close: async () => {
      socket.close()
      await closed
    },
  }
}

/** The status a refused upgrade answers with. */
export const refusedWith = (page: string, options: ClientOptions = {}, path = 'ws'): Promise<number | undefined> =>
  new Promise((resolve) => {
    const socket = new WebSocket(`${page.replace(/^http/, 'ws')}${path}`, [], options)
    socket.on('unexpected-response', (request, response) => {
      resolve(response.statusCode)
      request.destroy()
    })
    socket.on('open', () => {
      socket.close()
      resolve(101)
    })
    socket.on('error', () => undefined)
  })

/** Counts what it is told, runs a child that fails on demand. */
export const countingMachine = setup({
  types: {
    context: {} as { count: number; held: unknown },
    events: {} as
      | { type: 'xstate.error.actor.*'; error: unknown }
      | { type: 'xstate.done.actor.*' }
      | { type: 'add'; by?: unknown }
      | { type: 'hold'; held: unknown }
      | { type: 'work'; fail?: boolean }
      | { type: 'off' },
  },
  actors: {
    worker: fromPromise(async ({ input }: { input: { fail: boolean } }) => {
      if (input.fail) throw Object.assign(new Error('the worker broke'), { code: 'BROKEN' })
    }),
  },
  actions: {
    count: assign({ count: ({ context }) => context.count + 1 }),
    spawnWorker: assign(({ event, spawn }) => {
      spawn('worker', { input: { fail: event.type === 'work' && event.fail === true } })
      return {}
    }),
  },
}).createMachine({
  id: 'counting',
  context: { count: 0, held: undefined },
  initial: 'on',
  states: {
    on: {
      on: {
        add: { actions: 'count' },
        hold: { actions: assign({ held: ({ event }) => event.held }) },
        work: { actions: 'spawnWorker' },
        off: 'off',
      },
    },
    off: { on: { add: 'on' } },
  },
  on: { 'xstate.error.actor.*': {}, 'xstate.done.actor.*': {} },
})

const stops: (() => Promise<void>)[] = []

/** Call after each test. */
export const stopAll = async (): Promise<void> => {
  await Promise.all(stops.splice(0).map((stop) => stop()))
}

export const inspected = async <Actor extends AnyActorRef>(
  actor: Actor,
  options: InspectorOptions = {},
): Promise<{ actor: Actor; inspector: Inspector; page: string; view(): Promise<TestViewer> }> => {
  const inspector = createInspector({ port: 0, ...options })(actor)
  stops.push(inspector.close)
  const page = await inspector.listening
  const view = async (): Promise<TestViewer> => {
    const viewer = await openViewer(page)
    await viewer.hello()
    return viewer
  }
  return { actor, inspector, page, view }
}

export const counting = () => createActor(countingMachine, { id: 'counting' }).start()
