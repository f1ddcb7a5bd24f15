import type { ControllerDefinition } from '../define.ts'
import { nearestPackage } from '../version.ts'
import { controllerFile, duplicatePaths, settings } from './controllerFile.ts'
import {
  databaseUrl,
  type Found,
  fromSecret,
  fromVariable,
  misspelledVariables,
  resolveDeployment,
} from './deployment.ts'
import { createEnvironment, type Variables } from './environment.ts'
import { type Field, isPlainObject, problemsOf } from './fields.ts'
import { duplicateHandlers } from './handlers.ts'
import { configInvalid, type Problem } from './problems.ts'
import type { ResolvedConfig, ResolvedSource } from './resolved.ts'

export interface ResolveOptions {
  /** How `NAME_FILE` is read. */
  readonly readFile?: (path: string) => string
  /** Whose package.json gives the code version (default: the working folder). */
  readonly folder?: string
  /** Whether logs go to a terminal (default: what stdout is). */
  readonly terminal?: boolean
}

/**
 * Checks a definition and the variables of its deployment, and puts every default in place. A setting of the process
 * (`KOKSMAT_…`) wins over the option of the file; a server named in the file wins over the standard variable.
 * @throws ControllerError CONFIG_INVALID with all problems, as text and in `fields.problems`.
 */
export const resolveConfig = (
  definition: ControllerDefinition,
  variables: Variables,
  options: ResolveOptions = {},
): ResolvedConfig => {
  const { readFile, folder = process.cwd(), terminal = process.stdout.isTTY === true } = options
  const environment = createEnvironment(variables, readFile)
  const problems: Problem[] = []
  const take = <Value>({ value, problems: more }: Found<Value>): Value => {
    problems.push(...more)
    return value
  }

  const file = controllerFile(environment).safeParse(definition)
  if (!file.success) problems.push(...problemsOf(file.error.issues, [], definition))
  const written: unknown = definition
  const raw = isPlainObject(written) ? written : {}
  problems.push(...duplicateHandlers(raw['handlers']), ...duplicatePaths(raw['sources']))

  const number = (name: string, field: Field<number>): number | undefined =>
    take(fromVariable(environment, name, field, Number))
  const plain = <Value>(name: string, field: Field<Value>): Value | undefined =>
    take(fromVariable(environment, name, field))
  const given = file.data
  const inKubernetes = environment.plain('KUBERNETES_SERVICE_HOST') !== undefined
  const shutdownTimeoutMs =
    plain('KOKSMAT_SHUTDOWN_TIMEOUT', settings.shutdownTimeout) ?? given?.shutdownTimeout ?? 25_000
  const preStopDelayMs =
    plain('KOKSMAT_PRE_STOP_DELAY', settings.preStopDelay) ?? given?.preStopDelay ?? (inKubernetes ? 5_000 : 0)
  const journalUrl =
    given?.journal?.url ??
    (isNamed(raw['journal']) ? undefined : take(fromSecret(environment, 'DATABASE_URL', databaseUrl)))
  const config = {
    concurrency: number('KOKSMAT_CONCURRENCY', settings.concurrency) ?? given?.concurrency ?? 16,
    longConcurrency: number('KOKSMAT_LONG_CONCURRENCY', settings.concurrency) ?? given?.longConcurrency ?? 8,
    shutdownTimeoutMs,
    preStopDelayMs,
    lockWaitMs: plain('KOKSMAT_LOCK_WAIT', settings.lockWait) ?? given?.lockWait ?? 30_000,
    codeVersion:
      plain('KOKSMAT_CODE_VERSION', settings.codeVersion) ??
      given?.codeVersion ??
      nearestPackage(folder)?.version ??
      'unknown',
    journal: {
      ...(journalUrl === undefined ? {} : { url: journalUrl }),
      schema: plain('KOKSMAT_JOURNAL_SCHEMA', settings.schema) ?? given?.journal?.schema ?? 'koksmat',
      migrate:
        take(fromVariable(environment, 'KOKSMAT_JOURNAL_MIGRATE', settings.migrate, trueOrFalse)) ??
        given?.journal?.migrate ??
        true,
    },
    ...take(resolveDeployment(environment, terminal)),
  }
  if (preStopDelayMs >= shutdownTimeoutMs) {
    problems.push({
      path: 'preStopDelay',
      value: `${preStopDelayMs}ms`,
      problem: 'leaves no time to drain',
      expected: `less than the shutdown timeout, ${shutdownTimeoutMs}ms`,
    })
  }
  problems.push(...misspelledVariables(environment, Object.keys(variables)))
  if (given === undefined || problems.length > 0) throw configInvalid(problems)
  const { sources, handlers, prepare } = given
  return {
    ...config,
    sources: withNotifyUrl(sources, journalUrl),
    handlers,
    ...(prepare === undefined ? {} : { prepare }),
  }
}

/** A poller of the journal's own database goes through the journal, but for LISTEN it needs the address. */
const withNotifyUrl = (sources: ResolvedConfig['sources'], journalUrl: string | undefined): ResolvedConfig['sources'] =>
  Object.fromEntries(
    Object.entries(sources).map(([name, source]): [string, ResolvedSource] => {
      if (source.driver !== 'poll' || journalUrl === undefined) return [name, source]
      const { notify, notifyUrl, url } = source.options
      if (notify === undefined || notifyUrl !== undefined || url !== undefined) return [name, source]
      return [name, { ...source, options: { ...source.options, notifyUrl: journalUrl } }]
    }),
  )

const isNamed = (journal: unknown): boolean => isPlainObject(journal) && journal['url'] !== undefined

const trueOrFalse = (given: string): unknown => (given === 'true' ? true : given === 'false' ? false : given)
