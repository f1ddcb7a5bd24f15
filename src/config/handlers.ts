import { z } from 'zod'
import type { HandlerDefinition, HandlerOptions } from '../define.ts'
import { duration, type Field, fitting, functionOf, isPlainObject, part, refuse, shape, text, whole } from './fields.ts'
import type { Problem } from './problems.ts'
import type { ResolvedHandler } from './resolved.ts'

/** Handlers and ignore rules, with the defaults of their options. */

/** The lock of `atomic: true`, and the name under which it is seen. */
export const controllerLock = 'controller'

const dayMs = 86_400_000
const pattern = text("a type such as 'order.created', or a prefix such as 'order.*'", /^(?:\*|[^\s*]+(?:\.\*)?)$/)

const retry = shape({
  attempts: whole(1, 1_000).default(5),
  inPlace: whole(0, 100).exactOptional(),
  backoff: duration('1ms', '1d').default(1_000),
  maxBackoff: duration('1ms', '24d').exactOptional(),
}).transform(({ attempts, inPlace, backoff, maxBackoff }, context) => {
  if (inPlace !== undefined && inPlace >= attempts) {
    return refuse(context, `has ${inPlace} retries in place and ${attempts} runs in all`, '`inPlace` below `attempts`')
  }
  if (maxBackoff !== undefined && maxBackoff < backoff) {
    return refuse(context, 'has a `maxBackoff` below its `backoff`', '`maxBackoff` of at least `backoff`')
  }
  return {
    attempts,
    inPlace: inPlace ?? Math.min(1, attempts - 1),
    backoffMs: backoff,
    maxBackoffMs: maxBackoff ?? Math.max(60_000, backoff),
  }
})

const options = shape({
  schema: fitting(
    z.custom<NonNullable<HandlerOptions['schema']>>(isStandardSchema),
    'a Standard Schema, such as one of zod, valibot or arktype',
  ).exactOptional(),
  key: functionOf<NonNullable<HandlerOptions['key']>>().exactOptional(),
  retry: retry.exactOptional(),
  timeout: duration('1ms', '24d').exactOptional(),
  dedup: duration('1s', '366d').exactOptional(),
  atomic: fitting(
    z.union([z.literal(true), z.string().regex(/^[^\s](?:.{0,98}[^\s])?$/)]),
    'the name of a lock, or true for the one of the controller',
  ).exactOptional(),
  long: fitting(z.literal(true), 'true').exactOptional(),
})

/** A handler as `on` or `ignore` described it. */
export const handler: Field<ResolvedHandler> = z.unknown().transform((value, context): ResolvedHandler => {
  if (!isPlainObject(value) || !isPlainObject(value['options']))
    return refuse(context, 'is not a handler', 'what on() or ignore() returns')
  const type = part(z.object({ type: pattern }), value, context)
  const given = part(options, value['options'], context)
  if (value['options']['atomic'] !== undefined && value['options']['long'] !== undefined) {
    refuse(context, 'is both `atomic` and `long`', 'one of them; a long handler can emit an event to an atomic one')
  }
  const handle = part(
    z.object({ handle: functionOf<NonNullable<HandlerDefinition['handle']>>().exactOptional() }),
    value['handle'] === undefined ? {} : value,
    context,
  )
  return context.issues.length > 0 ? z.NEVER : { ...type, ...handle, ...resolved(given) }
})

/** Two rules for one type: only one of them could ever run. */
export const duplicateHandlers = (handlers: unknown): Problem[] => {
  const types = Array.isArray(handlers) ? handlers.map((each) => (isPlainObject(each) ? each['type'] : undefined)) : []
  return types.flatMap((type, place) => {
    const first = types.indexOf(type)
    if (first === place || typeof type !== 'string') return []
    return [
      {
        path: `handlers[${place}].type`,
        value: JSON.stringify(type),
        problem: `is what handlers[${first}] is for already`,
        expected: 'one handler or ignore rule a type',
      },
    ]
  })
}

const resolved = (given: z.output<typeof options>): Omit<ResolvedHandler, 'type' | 'handle'> => {
  const { schema, key, atomic, long } = given
  const timeoutMs = given.timeout ?? (long === undefined ? 30_000 : undefined)
  const dedupMs = given.dedup ?? (atomic === undefined ? undefined : 7 * dayMs)
  return {
    retry: given.retry ?? retryDefaults,
    long: long === true,
    ...(schema === undefined ? {} : { schema }),
    ...(key === undefined ? {} : { key }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(dedupMs === undefined ? {} : { dedupMs }),
    ...(atomic === undefined ? {} : { lock: atomic === true ? controllerLock : atomic }),
  }
}

const retryDefaults: ResolvedHandler['retry'] = retry.parse({})

function isStandardSchema(value: unknown): boolean {
  const standard =
    (typeof value === 'object' && value !== null) || typeof value === 'function'
      ? Reflect.get(value, '~standard')
      : undefined
  return isPlainObject(standard) && typeof standard['validate'] === 'function'
}
