import type { AnyActorRef } from 'xstate'
import type { Collector } from './collector.ts'
import { HostError, type InspectorHost, type Who } from './host.ts'
import { snapshotView } from './messages.ts'
import type { ParkedFilter } from './protocol/parked.ts'
import type { Ack, AckError, AckErrorCode, ClientMessage, ControlCommand, Role, Watch } from './protocol.ts'
import { type Serialize, wideLimits } from './serialize.ts'

/** What a viewer may ask and tell. The page's buttons are a courtesy: what is allowed is decided here. */
export interface Commander {
  /** Answers each message with an id exactly once. Never rejects. */
  receive(text: string, from: Visitor): Promise<Ack | undefined>
}

export interface Visitor {
  readonly role: Role
  readonly who: Who
  watch(watch: Watch): void
}

interface Options {
  readonly collector: Collector
  readonly host: InspectorHost | undefined
  readonly serialize: Serialize
  readonly flight: (() => unknown) | undefined
  /** One line for each change that was asked for through the inspector alone; the host writes its own. */
  audit(fields: object): void
  onError(thrown: unknown): void
}

/** Understood and not done. */
class Declined extends Error {
  readonly error: AckError

  constructor(code: AckErrorCode, message: string, expected?: string) {
    super(message)
    this.error = { code, message, ...(expected === undefined ? {} : { expected }) }
  }
}

const mostSelected = 1_000
const mostDepth = 64
const operating: ReadonlySet<ClientMessage['type']> = new Set(['send', 'control'])

export const createCommander = (options: Options): Commander => {
  const { collector, host, serialize, flight, audit, onError } = options

  const actorOf = (sessionId: string): AnyActorRef => {
    const ref = collector.find(sessionId)
    if (ref === undefined) throw new Declined('NO_ACTOR', 'There is no such live actor.')
    return ref
  }
  const needHost = (): InspectorHost => {
    if (host === undefined) throw new Declined('UNSUPPORTED', 'There is no controller around this actor.')
    return host
  }

  const run = async (message: Asked, { who }: Visitor): Promise<unknown> => {
    switch (message.type) {
      case 'snapshot':
        return snapshotView(actorOf(message.sessionId).getSnapshot(), serialize, wideLimits)
      case 'send': {
        const { sessionId, event } = message
        if (event.type.startsWith('xstate.')) throw new Declined('REFUSED', 'Events of XState itself are not sent.')
        const ref = actorOf(sessionId)
        if (host?.send === undefined) ref.send(event)
        else await host.send(ref.id, event, who)
        audit({ command: 'send', to: ref.id, event: event.type, ...who })
        return undefined
      }
      case 'control': {
        const { command, confirm } = message
        const port = needHost()
        if (!port.commands.includes(command.name)) throw new Declined('UNSUPPORTED', `No command ${command.name} here.`)
        const expected = confirmationOf(command)
        if (expected !== undefined && confirm !== expected) {
          throw new Declined('CONFIRM', `Confirm by typing ${expected}.`, expected)
        }
        return port.control(command, who)
      }
      case 'parked':
        return needHost().parked({ limit: 100, ...message.filter })
      case 'parkedEvent': {
        const found = await needHost().parkedEvent(message.seq)
        if (found === undefined) throw new Declined('NO_EVENT', 'This event is not parked any more.')
        const event = serialize(found.event, wideLimits)
        const text = JSON.stringify(event)
        return { ...found, event, redacted: text.includes('{"$":"redacted"}') || text.includes('[redacted]') }
      }
      case 'flight':
        if (flight === undefined) throw new Declined('UNSUPPORTED', 'Nothing is recorded here.')
        return flight()
    }
  }

  return {
    receive: async (text, visitor) => {
      let id = ''
      try {
        const message = parse(text)
        if (message.type === 'watch') {
          visitor.watch(message)
          return undefined
        }
        id = message.id
        if (operating.has(message.type) && visitor.role !== 'operate') {
          throw new Declined('FORBIDDEN', 'This session may only read.')
        }
        const result = await run(message, visitor)
        return { type: 'ack', id, ok: true, ...(result === undefined ? {} : { result }) }
      } catch (thrown) {
        if (thrown instanceof Malformed) return refused(thrown.id, { code: 'MALFORMED', message: thrown.message })
        if (thrown instanceof Declined) return refused(id, thrown.error)
        if (thrown instanceof HostError) return refused(id, { code: thrown.code, message: thrown.message })
        onError(thrown)
        return refused(id, { code: 'FAILED', message: 'It failed; the log of the server says why.' })
      }
    },
  }
}

type Asked = Exclude<ClientMessage, Watch>

const refused = (id: string, error: AckError): Ack => ({ type: 'ack', id, ok: false, error })

/** What has to be typed; `undefined` for commands that need no confirmation. */
const confirmationOf = (command: ControlCommand): string | undefined => {
  if (command.name === 'drain') return 'drain'
  if (command.name !== 'redrive' && command.name !== 'drop') return undefined
  return command.filter.seqs === undefined ? command.name : undefined
}

class Malformed extends Error {
  readonly id: string

  constructor(id: string, message: string) {
    super(message)
    this.id = id
  }
}

type Fields = Readonly<Record<string, unknown>>

/** @throws Malformed */
const parse = (text: string): ClientMessage => {
  const message = parsed(text)
  const id = typeof message['id'] === 'string' && message['id'].length <= 64 ? message['id'] : ''
  const need = (fits: boolean, what: string): void => {
    if (!fits) throw new Malformed(id, what)
  }
  const { type } = message
  if (type === 'watch') {
    const { events, snapshots, states } = message
    need(
      isSelection(events) && isSelection(snapshots),
      `events and snapshots are 'all', 'none' or a list of session ids`,
    )
    return { type, events: events as Watch['events'], snapshots: snapshots as Watch['events'], states: states === true }
  }
  need(id !== '', 'id is missing')
  switch (type) {
    case 'snapshot':
      need(isText(message['sessionId']), 'sessionId is missing')
      break
    case 'send':
      need(isText(message['sessionId']), 'sessionId is missing')
      need(isFields(message['event']) && isText(message['event']['type']), 'event has no type')
      break
    case 'control':
      need(isCommand(message['command']), 'command is not one, or lacks a field')
      need(message['confirm'] === undefined || isText(message['confirm']), 'confirm is no text')
      break
    case 'parked':
      need(isFilter(message['filter']), 'filter is not one')
      break
    case 'parkedEvent':
      need(isSeq(message['seq']), 'seq is no number of the journal')
      break
    case 'flight':
      break
    default:
      throw new Malformed(id, 'no such message')
  }
  return message as unknown as ClientMessage
}

const parsed = (text: string): Fields => {
  let value: unknown
  try {
    value = JSON.parse(text, (key, inner: unknown) => {
      if (key === '__proto__') throw new Error('__proto__')
      return inner
    })
  } catch {
    throw new Malformed('', 'not JSON')
  }
  if (!isFields(value)) throw new Malformed('', 'not an object')
  if (isDeeper(value, mostDepth)) throw new Malformed('', `nested deeper than ${mostDepth}`)
  return value
}

const isDeeper = (value: unknown, than: number): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (than === 0 || Object.values(value).some((each) => isDeeper(each, than - 1)))

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown): boolean => typeof value === 'string' && value !== '' && value.length <= 256
const isSeq = (value: unknown): boolean => typeof value === 'string' && /^\d{1,19}$/.test(value)
const isMaybe = (value: unknown, fits: (value: unknown) => boolean): boolean => value === undefined || fits(value)
const isList = (value: unknown, fits: (value: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length <= mostSelected && value.every(fits)
const isSelection = (value: unknown): boolean => value === 'all' || value === 'none' || isList(value, isText)
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0

const isFilter = (value: unknown): value is ParkedFilter => {
  if (!isFields(value)) return false
  const { seqs, source, type, code, parkedUntil, limit } = value
  return (
    isMaybe(seqs, (list) => isList(list, isSeq)) &&
    [source, type, code, parkedUntil].every((each) => isMaybe(each, isText)) &&
    isMaybe(limit, (most) => isCount(most) && (most as number) <= mostSelected)
  )
}

const isCommand = (value: unknown): boolean => {
  if (!isFields(value)) return false
  const { name } = value
  return typeof name === 'string' && Object.hasOwn(fitting, name) && fitting[name as ControlCommand['name']](value)
}

const fitting: Readonly<Record<ControlCommand['name'], (command: Fields) => boolean>> = {
  pause: ({ source }) => isText(source),
  resume: ({ source }) => isText(source),
  credit: ({ source, events, bytes }) =>
    isText(source) && [events, bytes].every((each) => isMaybe(each, isCount)) && (events ?? bytes) !== undefined,
  drain: () => true,
  redrive: ({ filter }) => isFilter(filter),
  drop: ({ filter }) => isFilter(filter),
  editAndRedrive: ({ seq, data }) => isSeq(seq) && data !== undefined,
  releaseWaiter: ({ lock, source, event }) => isText(lock) && [source, event].every((each) => isMaybe(each, isText)),
  logLevel: ({ level }) => isText(level),
  rotateSecret: ({ source }) => isText(source),
}
