import type { Json } from './protocol/actors.ts'
import { type Redaction, type Trail, trailOf } from './redaction.ts'

/**
 * Any value as JSON that may be shown: bounded in depth, breadth and size, with tags for what JSON cannot say (see
 * `Tagged`), and without secrets. Never throws, whatever getters and proxies do; asks nothing of the value but its own
 * enumerable properties, and runs no `toJSON`.
 */
export interface Limits {
  /** Objects within objects (default 7). */
  readonly depth: number
  /** Properties of an object and elements of an array, map or set (default 100). */
  readonly keys: number
  /** Characters of a string (default 2,048). */
  readonly chars: number
  /** About so many characters in all (default 65,536). */
  readonly size: number
}

export const defaultLimits: Limits = { depth: 7, keys: 100, chars: 2_048, size: 65_536 }
/** For one value that somebody asked for. */
export const wideLimits: Limits = { depth: 12, keys: 1_000, chars: 16_384, size: 1_048_576 }

export type Serialize = (value: unknown, limits?: Limits) => Json

export const redacted: Json = { $: 'redacted' }

export const createSerializer =
  (redaction: Redaction): Serialize =>
  (value, limits = defaultLimits) =>
    write({ redaction, limits, above: [], left: limits.size }, value, 0, trailOf(redaction.paths))

/** One walk over one value. */
interface Walk {
  readonly redaction: Redaction
  readonly limits: Limits
  /** The way down to here. */
  readonly above: { readonly object: object; readonly key: string }[]
  /** Characters there is still room for. */
  left: number
}

const write = (walk: Walk, value: unknown, depth: number, trail: Trail): Json => {
  switch (typeof value) {
    case 'string':
      return writeText(walk, value)
    case 'number':
      walk.left -= 8
      return Number.isFinite(value) ? value : { $: 'number', value: String(value) }
    case 'boolean':
      walk.left -= 5
      return value
    case 'undefined':
      return { $: 'undefined' }
    case 'bigint':
      return { $: 'bigint', value: writeText(walk, String(value)) }
    case 'symbol':
      return { $: 'symbol', value: writeText(walk, String(value)) }
    case 'function':
      return { $: 'function', name: writeText(walk, nameOf(value)) }
    default:
      return value === null ? null : writeObject(walk, value as object, depth, trail)
  }
}

const writeText = (walk: Walk, text: string): Json => {
  const { chars } = walk.limits
  const room = Math.max(0, Math.min(chars, walk.left))
  // Cut after the secrets are out: half of one is one.
  const shown = walk.redaction.scrub(text.length > room ? text.slice(0, room + overlap) : text)
  const kept = shown.length > room ? shown.slice(0, room) : shown
  walk.left -= kept.length + 2
  if (text.length <= room) return kept
  return { $: 'truncated', by: room < chars ? 'size' : 'length', more: text.length - room, value: kept }
}

const overlap = 1_024

const writeObject = (walk: Walk, object: object, depth: number, trail: Trail): Json => {
  const above = walk.above.findIndex((each) => each.object === object)
  if (above !== -1) {
    const path = walk.above.slice(0, above).map(({ key }) => key)
    return { $: 'circular', path: path.join('.') }
  }
  if (walk.left <= 0) return { $: 'truncated', by: 'size', more: 1 }
  walk.left -= 2
  try {
    return writeOpened(walk, object, depth, trail)
  } catch (thrown) {
    return { $: 'threw', message: messageOf(thrown) }
  }
}

const writeOpened = (walk: Walk, object: object, depth: number, trail: Trail): Json => {
  const leaf = leafOf(object)
  if (leaf !== undefined) return leaf
  if (depth >= walk.limits.depth) return { $: 'truncated', by: 'depth', more: 1 }
  const extra = walk.redaction.secretPathsOf?.(object)
  const inside = extra === undefined ? trail : trail.with(extra)

  if (Array.isArray(object)) return writeElements(walk, object, object.length, (i) => object[i], depth, inside)
  if (object instanceof Map) return writeMap(walk, object, depth, inside)
  if (object instanceof Set) {
    const values = object.values()
    const value = writeElements(walk, object, object.size, () => values.next().value, depth, inside)
    return { $: 'set', size: object.size, value }
  }
  if (object instanceof Error) return writeError(walk, object, depth, inside)
  const isSnapshot = '_nodes' in object && 'machine' in object
  const keys = isSnapshot ? ['status', 'value', 'context', 'output', 'error'] : Object.keys(object)
  const value = writeProperties(walk, object, keys, depth, inside)
  const prototype: unknown = Object.getPrototypeOf(object)
  if (isSnapshot) return { $: 'instance', name: 'Snapshot', value }
  if (prototype !== Object.prototype && prototype !== null) return { $: 'instance', name: className(object), value }
  return Object.hasOwn(object, '$') ? { $: 'object', value } : value
}

const writeProperties = (walk: Walk, object: object, keys: readonly string[], depth: number, trail: Trail): Json => {
  const shown: Record<string, Json> = {}
  const most = Math.min(keys.length, walk.limits.keys)
  let done = 0
  while (done < most && walk.left > 0) {
    const key = keys[done++] as string
    walk.left -= key.length + 4
    const written = writeProperty(walk, object, key, depth, trail)
    if (key === '__proto__') Object.defineProperty(shown, key, { value: written, enumerable: true })
    else shown[key] = written
  }
  const more = keys.length - done
  if (more === 0) return shown
  return { $: 'truncated', by: done < most ? 'size' : 'keys', more, value: shown }
}

const writeProperty = (walk: Walk, object: object, key: string, depth: number, trail: Trail): Json => {
  const below = trail.below(key)
  if (below.ends || walk.redaction.isSecretName(key)) return redacted
  let value: unknown
  try {
    value = (object as Record<string, unknown>)[key]
  } catch (thrown) {
    return { $: 'threw', message: messageOf(thrown) }
  }
  return writeBelow(walk, object, key, value, depth, below)
}

const writeBelow = (walk: Walk, owner: object, key: string, value: unknown, depth: number, trail: Trail): Json => {
  walk.above.push({ object: owner, key })
  const written = write(walk, value, depth + 1, trail)
  walk.above.pop()
  return written
}

const writeElements = (
  walk: Walk,
  owner: object,
  length: number,
  at: (index: number) => unknown,
  depth: number,
  trail: Trail,
): Json => {
  const shown: Json[] = []
  const most = Math.min(length, walk.limits.keys)
  while (shown.length < most && walk.left > 0) {
    shown.push(writeBelow(walk, owner, String(shown.length), at(shown.length), depth, trail))
  }
  const more = length - shown.length
  return more === 0 ? shown : { $: 'truncated', by: shown.length < most ? 'size' : 'keys', more, value: shown }
}

const writeMap = (walk: Walk, map: Map<unknown, unknown>, depth: number, trail: Trail): Json => {
  const shown: Json[] = []
  const most = Math.min(map.size, walk.limits.keys)
  for (const [key, value] of map) {
    if (shown.length >= most || walk.left <= 0) break
    const name = typeof key === 'string' ? key : ''
    const below = trail.below(name)
    const secret = below.ends || walk.redaction.isSecretName(name)
    const written = secret ? redacted : writeBelow(walk, map, name, value, depth, below)
    shown.push([writeBelow(walk, map, name, key, depth, trail), written])
  }
  const more = map.size - shown.length
  const value: Json = more === 0 ? shown : { $: 'truncated', by: 'keys', more, value: shown }
  return { $: 'map', size: map.size, value }
}

const writeError = (walk: Walk, error: Error, depth: number, trail: Trail): Json => {
  const told = ['name', 'message', 'code', 'stack', 'cause'].filter((key) => key in error)
  const fields = writeProperties(walk, error, [...new Set([...told, ...Object.keys(error)])], depth, trail)
  return '$' in (fields as object) ? { $: 'error', fields } : { $: 'error', ...(fields as Record<string, Json>) }
}

/** What is shown without looking into it. */
const leafOf = (object: object): Json | undefined => {
  if (object instanceof Date)
    return { $: 'date', value: String(Number(object)) === 'NaN' ? 'invalid' : object.toISOString() }
  if (object instanceof RegExp) return { $: 'regexp', value: String(object) }
  if (ArrayBuffer.isView(object) || object instanceof ArrayBuffer || object instanceof SharedArrayBuffer) {
    return { $: 'bytes', size: object.byteLength, of: className(object) }
  }
  if (object instanceof URL)
    return { $: 'instance', name: 'URL', value: `${object.protocol}//${object.host}${object.pathname}` }
  if (
    object instanceof Promise ||
    object instanceof WeakMap ||
    object instanceof WeakSet ||
    object instanceof WeakRef
  ) {
    return { $: 'instance', name: className(object), value: {} }
  }
  return actorOf(object)
}

const actorOf = (object: object): Json | undefined => {
  const actor = object as { sessionId?: unknown; id?: unknown; send?: unknown }
  if (typeof actor.sessionId !== 'string' || typeof actor.send !== 'function') return undefined
  return { $: 'actor', sessionId: actor.sessionId, id: String(actor.id) }
}

const className = (object: object): string => {
  const { constructor: made } = object as { constructor?: unknown }
  return typeof made === 'function' ? nameOf(made) : 'Object'
}

const nameOf = (named: unknown): string => {
  const { name } = named as { name?: unknown }
  return typeof name === 'string' ? name.slice(0, 100) : ''
}

const messageOf = (thrown: unknown): string => {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown).slice(0, 200)
  } catch {
    return 'and what it threw cannot be shown'
  }
}
