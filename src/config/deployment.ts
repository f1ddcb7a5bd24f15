import { isIP } from 'node:net'
import { z } from 'zod'
import type { Environment, Lookup } from './environment.ts'
import { type Field, fitting, oneOf, problemsOf, text, whole } from './fields.ts'
import { distance, type Problem } from './problems.ts'
import { hidden } from './redact.ts'
import { urlFits } from './references.ts'
import type { ResolvedConfig } from './resolved.ts'

/** What a deployment says in variables: the addresses of this process, its log, and its tokens. */

const port: Field<number> = whole(0, 65_535)
const host: Field<string> = text('an address or a name of this machine', /^(?:[A-Za-z0-9](?:[\w.-]*)|[\da-fA-F:.]+)$/)
const level: Field<string> = oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent')
/** Of the admin port, its API and the inspector: whoever has the first may change things, the second only look. */
const operateToken = 'KOKSMAT_INSPECTOR_TOKEN'
const readToken = 'KOKSMAT_INSPECTOR_TOKEN_READ'
const leastTokenLength = 32
const token: Field<string> = fitting(
  z
    .string()
    .min(leastTokenLength)
    .regex(/^[\x21-\x7e]+$/),
  `at least ${leastTokenLength} characters, none of them a space`,
)

type Deployment = Pick<ResolvedConfig, 'webhooks' | 'admin' | 'inspector' | 'log'>

export interface Found<Value> {
  readonly value: Value
  readonly problems: readonly Problem[]
}

export const resolveDeployment = (environment: Environment, terminal: boolean): Found<Deployment> => {
  const problems: Problem[] = []
  const take = <Value>({ value, problems: more }: Found<Value | undefined>, otherwise: Value): Value => {
    problems.push(...more)
    return value ?? otherwise
  }
  const webhooks = {
    host: take(fromVariable(environment, 'HOST', host), '127.0.0.1'),
    port: take(fromVariable(environment, 'PORT', port, Number), 3000),
  }
  const admin = {
    host: take(fromVariable(environment, 'KOKSMAT_ADMIN_HOST', host), '127.0.0.1'),
    port: take(fromVariable(environment, 'KOKSMAT_ADMIN_PORT', port, Number), 3001),
  }
  const operate = take(fromSecret(environment, operateToken, token), undefined)
  const read = take(fromSecret(environment, readToken, token), undefined)
  const inspector = { on: take(fromVariable(environment, 'KOKSMAT_INSPECTOR', oneOf('on', 'off')), 'on') === 'on' }
  const log = {
    level: take(
      fromVariable(environment, 'LOG_LEVEL', level, (given) => given.toLowerCase()),
      'info',
    ),
    format: take(
      fromVariable(environment, 'KOKSMAT_LOG_FORMAT', oneOf('json', 'pretty')),
      terminal ? 'pretty' : 'json',
    ),
  }
  const isGuarded = [operateToken, readToken].some((name) => environment.secret(name).value !== undefined)
  if (!(isLoopback(admin.host) || isGuarded)) {
    problems.push({
      path: 'KOKSMAT_ADMIN_HOST',
      value: JSON.stringify(admin.host),
      problem: `opens the admin port to other machines, and there is no ${operateToken}`,
      expected: `127.0.0.1, or a ${operateToken} of at least ${leastTokenLength} characters`,
    })
  }
  if (operate !== undefined && operate === read) {
    problems.push({
      path: readToken,
      value: hidden,
      problem: `is the same as ${operateToken}, so whoever may read could operate`,
      expected: 'another one',
    })
  }
  if (webhooks.port !== 0 && webhooks.port === admin.port) {
    problems.push({
      path: 'KOKSMAT_ADMIN_PORT',
      value: String(admin.port),
      problem: 'is the port of the webhooks too',
      expected: 'another one than PORT',
    })
  }
  return {
    value: {
      webhooks,
      admin: {
        ...admin,
        tokens: { ...(operate === undefined ? {} : { operate }), ...(read === undefined ? {} : { read }) },
      },
      inspector,
      log,
    },
    problems,
  }
}

/** A setting that is no secret; the message shows what was found. */
export const fromVariable = <Value>(
  environment: Environment,
  name: string,
  field: Field<Value>,
  decode: (given: string) => unknown = (given) => given,
): Found<Value | undefined> => {
  const given = environment.plain(name)
  if (given === undefined) return { value: undefined, problems: [] }
  const read = field.safeParse(decode(given.trim()))
  if (read.success) return { value: read.data, problems: [] }
  return { value: undefined, problems: problemsOf(read.error.issues, [name], given) }
}

/** A value that is never shown; it may stand in a file. */
export const fromSecret = (environment: Environment, name: string, field: Field<string>): Found<string | undefined> => {
  const lookup = environment.secret(name)
  if (lookup.value === undefined) return { value: undefined, problems: problemOfLookup(name, lookup) }
  const read = field.safeParse(lookup.value)
  if (read.success) return { value: read.data, problems: [] }
  return {
    value: undefined,
    problems: problemsOf(read.error.issues, [name], undefined).map((one) => ({ ...one, value: hidden })),
  }
}

export const databaseUrl: Field<string> = fitting(
  z.string().refine((given) => urlFits(given, ['postgres', 'postgresql'])),
  'a URL like postgres://host/database',
)

/** Variables that look like one of ours and were not asked for: most likely a misspelling, silently without effect. */
export const misspelledVariables = (environment: Environment, names: readonly string[]): Problem[] =>
  names
    .filter((name) => name.startsWith('KOKSMAT_') && !environment.asked.has(name))
    .flatMap((name) => {
      const meant = [...environment.asked].find((known) => known.startsWith('KOKSMAT_') && distance(name, known) <= 2)
      if (meant === undefined) return []
      return [{ path: name, value: 'not shown', problem: 'is not a variable that is read', expected: meant }]
    })

const problemOfLookup = (name: string, lookup: Lookup): Problem[] =>
  lookup.problem === undefined
    ? []
    : [{ path: name, value: hidden, problem: lookup.problem, expected: lookup.expected }]

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
