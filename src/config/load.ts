import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ControllerError } from '../../machines/errors.ts'
import type { ControllerDefinition } from '../define.ts'
import { isPlainObject } from './fields.ts'
import { oneLine, withoutCredentials } from './redact.ts'

/** The names that are looked for where none is given, in this order. */
export const configNames: readonly string[] = [
  'controller.config.ts',
  'controller.config.mts',
  'controller.config.js',
  'controller.config.mjs',
]

export interface LoadedDefinition {
  readonly file: string
  readonly folder: string
  readonly definition: ControllerDefinition
}

/**
 * Runs a configuration file and takes what it exports by default. Nothing in it is checked yet: see `resolveConfig`.
 * @param path A file; default: the first of `configNames` in `folder`, which is the working folder where not given.
 * @throws ControllerError CONFIG_NOT_FOUND, or CONFIG_INVALID with the real cause and the place where it lies.
 */
export const loadDefinition = async (path?: string, folder: string = process.cwd()): Promise<LoadedDefinition> => {
  const file =
    path === undefined ? configNames.map((name) => resolve(folder, name)).find(existsSync) : resolve(folder, path)
  if (file === undefined || !existsSync(file)) {
    const missing = file === undefined ? `There is no ${configNames[0]} in ${folder}` : `There is no file ${file}`
    throw new ControllerError('CONFIG_NOT_FOUND', `${missing}; run \`koksmat-controller init\`, or name the file.`, {
      fields: { file: file ?? folder },
    })
  }
  const definition = await defaultExport(file)
  if (isPlainObject(definition))
    return { file, folder: dirname(file), definition: definition as unknown as ControllerDefinition }
  throw new ControllerError(
    'CONFIG_INVALID',
    `${file} has no controller as its default export; expected \`export default defineController({ … })\`.`,
    {
      fields: { file },
    },
  )
}

const defaultExport = async (file: string): Promise<unknown> => {
  try {
    return ((await import(pathToFileURL(file).href)) as { default?: unknown }).default
  } catch (cause) {
    const place =
      placeIn(stackOf(cause), dirname(file)) ?? (cause instanceof SyntaxError ? syntaxPlace(file) : undefined)
    const what = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
    throw new ControllerError(
      'CONFIG_INVALID',
      `${file} could not be run: ${oneLine(withoutCredentials(what))}${place === undefined ? '' : ` (at ${place})`}.`,
      { cause, fields: { file, ...(place === undefined ? {} : { place }) } },
    )
  }
}

const stackOf = (thrown: unknown): string => (thrown instanceof Error ? (thrown.stack ?? '') : '')

/** The first place in a stack that lies in the user's own files. */
const placeIn = (stack: string, folder: string): string | undefined => {
  const places = [...stack.matchAll(/(?:file:\/\/)?(\/[^\s()]+?|[A-Za-z]:[^\s()]+?):(\d+)(?::(\d+))?(?=[\s)]|$)/g)]
  const own = places.find(([, file]) => file?.startsWith(folder) && !file.includes('node_modules'))
  return own
    ?.slice(1)
    .filter((each) => each !== undefined)
    .join(':')
}

/** Node keeps the place of a syntax error in plain JavaScript to itself, unless it prints the error. */
const syntaxPlace = (file: string): string | undefined =>
  placeIn(spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', timeout: 10_000 }).stderr, dirname(file))
