import { z } from 'zod'
import { journalQueue, longQueue } from '../../machines/journal.ts'
import type { ControllerDefinition } from '../define.ts'
import type { Environment } from './environment.ts'
import {
  duration,
  type Field,
  flag,
  found,
  functionOf,
  isPlainObject,
  part,
  refuse,
  shape,
  text,
  whole,
} from './fields.ts'
import { handler } from './handlers.ts'
import type { Problem } from './problems.ts'
import { url } from './references.ts'
import type { ResolvedHandler, ResolvedSource } from './resolved.ts'
import { source } from './sources.ts'

/** Settings that the file and a variable can give. */
export const settings: {
  readonly concurrency: Field<number>
  readonly shutdownTimeout: Field<number>
  readonly preStopDelay: Field<number>
  readonly lockWait: Field<number>
  readonly codeVersion: Field<string>
  readonly schema: Field<string>
  readonly migrate: Field<boolean>
} = {
  concurrency: whole(1, 1_000),
  shutdownTimeout: duration('1s', '1d'),
  preStopDelay: duration('0s', '1h'),
  lockWait: duration('10ms', '1h'),
  codeVersion: text('a short text'),
  schema: text(
    "a schema of its own, such as 'koksmat': lower-case letters, digits and '_'",
    /^(?!pg_|public$|information_schema$)[a-z_][a-z0-9_]{0,47}$/,
  ),
  migrate: flag(),
}

/** What a controller.config.ts says, each `env` reference read; defaults come later. */
export interface ControllerFile {
  readonly sources: Readonly<Record<string, ResolvedSource>>
  readonly handlers: readonly ResolvedHandler[]
  readonly concurrency?: number
  readonly longConcurrency?: number
  readonly shutdownTimeout?: number
  readonly preStopDelay?: number
  readonly lockWait?: number
  readonly codeVersion?: string
  readonly journal?: { readonly url?: string; readonly schema?: string; readonly migrate?: boolean }
  readonly prepare?: NonNullable<ControllerDefinition['prepare']>
}

export const controllerFile = (environment: Environment): Field<ControllerFile> =>
  shape({
    sources: sourcesBy(environment),
    handlers: handlerList,
    concurrency: settings.concurrency.exactOptional(),
    longConcurrency: settings.concurrency.exactOptional(),
    shutdownTimeout: settings.shutdownTimeout.exactOptional(),
    preStopDelay: settings.preStopDelay.exactOptional(),
    lockWait: settings.lockWait.exactOptional(),
    codeVersion: settings.codeVersion.exactOptional(),
    journal: shape({
      url: url({ environment, schemes: ['postgres', 'postgresql'] }).exactOptional(),
      schema: settings.schema.exactOptional(),
      migrate: settings.migrate.exactOptional(),
    }).exactOptional(),
    prepare: functionOf<NonNullable<ControllerDefinition['prepare']>>().exactOptional(),
  })

const reserved: readonly string[] = [journalQueue, longQueue]
const sourceName = /^[a-z][A-Za-z0-9_-]{0,62}$/

const sourcesBy = (environment: Environment): Field<Record<string, ResolvedSource>> =>
  z.unknown().transform((value, context): Record<string, ResolvedSource> => {
    if (!isPlainObject(value)) return refuse(context, found(value), 'an object with a source by each name')
    const all = Object.entries(value).map(([name, definition]) => {
      if (!sourceName.test(name) || reserved.includes(name)) {
        const expected = `a name like 'orders': a lower-case letter, then letters, digits, '_' and '-'; not ${reserved.join(' or ')}`
        context.addIssue({
          code: 'custom',
          message: 'is not a name for a source',
          path: [name],
          params: { expected, shown: 'a source' },
        })
      }
      return [name, part(source(environment), definition, context, [name])] as const
    })
    return Object.fromEntries(all)
  })

const handlerList: Field<ResolvedHandler[]> = z.unknown().transform((value, context): ResolvedHandler[] => {
  if (!Array.isArray(value)) return refuse(context, found(value), 'a list of what on() and ignore() return')
  return value.map((definition, place) => part(handler, definition, context, [place]))
})

/** The webhook server has one source a path; capitals and a slash at the end make no other path. */
export const duplicatePaths = (sources: unknown): Problem[] => {
  const first = new Map<string, string>()
  return Object.entries(isPlainObject(sources) ? sources : {}).flatMap(([name, definition]) => {
    if (!isPlainObject(definition) || definition['driver'] !== 'webhook' || !isPlainObject(definition['options']))
      return []
    const path = definition['options']['path']
    if (typeof path !== 'string') return []
    const owner = first.get(path.toLowerCase())
    if (owner === undefined) {
      first.set(path.toLowerCase(), name)
      return []
    }
    const problem = `is the path of the source ${owner} too`
    return [{ path: `sources.${name}.path`, value: JSON.stringify(path), problem, expected: 'a path of its own' }]
  })
}
