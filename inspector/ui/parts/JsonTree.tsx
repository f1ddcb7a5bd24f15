import type { JSX } from 'preact'
import type { Json } from '../../protocol/actors.ts'
import { count } from '../format.ts'
import { type Change, changesBetween } from '../state/difference.ts'

/**
 * JSON as a tree that folds. With `before` it shows what has changed since: each changed value with the one it had.
 * Long lists show their beginning.
 */
const most = 100
const openUntil = 2
const mostChars = 200

export const JsonTree = ({ value, before }: { value: Json | undefined; before?: Json | undefined }): JSX.Element => {
  const changes = before === undefined ? new Map<string, Change>() : changesBetween(before, value)
  return (
    <div class="json">
      <Node name={undefined} value={value} path="" depth={0} changes={changes} />
    </div>
  )
}

interface NodeProps {
  readonly name: string | undefined
  readonly value: Json | undefined
  readonly path: string
  readonly depth: number
  readonly changes: ReadonlyMap<string, Change>
}

const Node = ({ name, value, path, depth, changes }: NodeProps): JSX.Element => {
  const change = changes.get(path)
  const look = change === undefined ? 'json-line' : `json-line ${change.kind}`
  const key = name === undefined ? null : <span class="json-key">{name}</span>
  const entries = entriesOf(value)
  if (entries === undefined) {
    return (
      <div class={look} data-json={path}>
        {key}
        {change?.kind === 'changed' && (
          <>
            <Leaf value={change.before} old /> <span class="faint">→</span>{' '}
          </>
        )}
        {change?.kind === 'removed' ? <Leaf value={change.before} old /> : <Leaf value={value} />}
      </div>
    )
  }
  const inner = entries
    .slice(0, most)
    .map(([each, child]) => (
      <Node key={each} name={each} value={child} path={`${path}.${each}`} depth={depth + 1} changes={changes} />
    ))
  const removed = [...changes].filter(([at, { kind }]) => kind === 'removed' && parentPath(at) === path)
  const rest = (
    <>
      {inner}
      {entries.length > most && <div class="json-line faint">… and {entries.length - most} more</div>}
      {removed.map(([at]) => (
        <Node
          key={at}
          name={at.slice(path.length + 1)}
          value={undefined}
          path={at}
          depth={depth + 1}
          changes={changes}
        />
      ))}
    </>
  )
  if (name === undefined) return rest
  const touched = [...changes.keys()].some((at) => at === path || at.startsWith(`${path}.`))
  return (
    <details class={look} open={touched || depth < openUntil} data-json={path}>
      <summary>
        {key}
        <span class="faint">{summaryOf(value, entries.length)}</span>
      </summary>
      {rest}
    </details>
  )
}

const parentPath = (path: string): string => path.slice(0, path.lastIndexOf('.'))

const entriesOf = (value: Json | undefined): readonly (readonly [string, Json])[] | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  const tag = tagOf(value)
  if (tag !== undefined && !('value' in value && typeof value['value'] === 'object')) {
    return tag === 'error' ? Object.entries(value).filter(([key]) => key !== '$') : undefined
  }
  const inner = tag === undefined ? value : (value as { value: Json }).value
  return inner === null || typeof inner !== 'object' ? undefined : Object.entries(inner)
}

const tagOf = (value: object): string | undefined =>
  '$' in value && typeof value.$ === 'string' && !Array.isArray(value) ? value.$ : undefined

const summaryOf = (value: Json | undefined, entries: number): string => {
  const tag = typeof value === 'object' && value !== null ? tagOf(value) : undefined
  if (tag !== undefined) return tag === 'object' ? `{${entries}}` : `${tag} ${entries}`
  return Array.isArray(value) ? `[${entries}]` : `{${entries}}`
}

const Leaf = ({ value, old }: { value: Json | undefined; old?: boolean }): JSX.Element => {
  const look = old === true ? ' old' : ''
  if (typeof value === 'object' && value !== null) {
    return <span class={`json-tag${look}`}>{tagged(value)}</span>
  }
  if (typeof value === 'string') return <span class={`json-string${look}`}>{JSON.stringify(value)}</span>
  return <span class={`json-other${look}`}>{String(value)}</span>
}

const truncated = ({ value, by, more }: Readonly<Record<string, Json>>): string =>
  typeof value === 'string'
    ? `${value.slice(0, mostChars)}… ${count(Number(more) + Math.max(0, value.length - mostChars))} more`
    : `… left out: ${String(by)}`

/** Values that JSON cannot say, in words. */
const tagged = (value: object): string => {
  const { $, ...rest } = value as Record<string, Json>
  if ($ === undefined) return Array.isArray(value) ? `[${value.length}]` : JSON.stringify(value).slice(0, 80)
  if ($ === 'truncated') return truncated(rest)
  if ($ === 'circular') return `↑ ${String(rest['path'])}`
  if ($ === 'actor') return `actor ${String(rest['id'])}`
  if ($ === 'threw') return `threw ${String(rest['message'])}`
  if ($ === 'bigint') return `${String(rest['value'])}n`
  if (typeof rest['value'] === 'string') return rest['value']
  return [$, rest['name'] ?? rest['of'], rest['size']].filter((part) => part !== undefined).join(' ')
}
