import { z } from 'zod'
import type { Environment, Lookup } from './environment.ts'
import { type Field, found, isPlainObject, part, refuse } from './fields.ts'
import { hidden, redact } from './redact.ts'

/** Values that come from the environment: `env` references, and options that a standard variable stands in for. */

interface Read {
  readonly text: string
  /** The variable it came from; absent: it stands in the file. */
  readonly variable?: string
}

interface UrlKind {
  readonly environment: Environment
  /** Without the colon. */
  readonly schemes: readonly string[]
  /** Read when the option is not given. */
  readonly variable?: string
  /** What else would do where nothing is given, e.g. another kind of source. */
  readonly instead?: string
}

/** A URL with one of the schemes. Messages show its scheme and host, never more. */
export const url = ({ environment, schemes, variable, instead }: UrlKind): Field<string> => {
  const expected = `a URL like ${schemes[0]}://host`
  return reference(environment, expected, variable, instead).transform((read, context) => {
    if (urlFits(read.text, schemes)) return read.text
    return refuse(context, 'is not such a URL', expected, shownUrl(read))
  })
}

export const urlFits = (text: string, schemes: readonly string[]): boolean =>
  URL.canParse(text) && schemes.some((scheme) => text.toLowerCase().startsWith(`${scheme}://`))

export const secret = (environment: Environment): Field<string> =>
  reference(environment, "a secret, best as env('NAME')").transform((read) => read.text)

/** `host:port` of one or more brokers, as a list or separated by commas. */
export const brokers = (environment: Environment, variable: string, instead: string): Field<string[]> => {
  const one = reference(environment, brokersExpected, variable, instead)
  const list = one.transform((read, context) =>
    checkedBrokers(
      read.text.split(',').map((broker) => broker.trim()),
      context,
      read,
    ),
  )
  return z
    .unknown()
    .optional()
    .transform((value, context) => (Array.isArray(value) ? checkedBrokers(value, context) : part(list, value, context)))
}

const checkedBrokers = (all: readonly unknown[], context: z.core.$RefinementCtx, read?: Read): string[] => {
  const good = all.filter((broker): broker is string => typeof broker === 'string' && isBroker(broker))
  if (good.length === all.length && good.length > 0) return good
  const wrong = all.find((broker) => !good.includes(broker as string))
  return refuse(context, 'is not allowed', brokersExpected, shownFrom(read, redact(wrong)))
}

const brokersExpected = "'host:port' of one or more brokers"

const isBroker = (text: string): boolean => {
  const port = /^(?:[\w.-]+|\[[\da-f:.]+\]):(\d{1,5})$/i.exec(text)?.[1]
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
}

/** Begins as optional, so that an absent option still gets the chance of its variable. */
const reference = (environment: Environment, expected: string, variable?: string, instead?: string): Field<Read> =>
  z
    .unknown()
    .optional()
    .transform((value, context): Read => {
      if (typeof value === 'string' && value.trim() !== '') return { text: value }
      if (isPlainObject(value)) {
        const { env: name, fallback } = value
        if (typeof name !== 'string' || !/^[A-Za-z_]\w*$/.test(name))
          return refuse(context, found(value), `${expected}, or env('NAME')`)
        const lookup = environment.secret(name)
        const missing = lookup.value === undefined && lookup.problem === undefined
        if (missing && typeof fallback === 'string' && fallback !== '') return { text: fallback }
        return readOf(context, name, lookup, 'a value in one of the two')
      }
      if (value !== undefined || variable === undefined) return refuse(context, found(value), expected, hidden)
      const stead = instead === undefined ? '' : `, or ${instead}`
      return readOf(context, variable, environment.secret(variable), `${expected} here or in one of the two${stead}`)
    })

const readOf = (context: z.core.$RefinementCtx, name: string, lookup: Lookup, expected: string): Read => {
  if (lookup.problem !== undefined) return refuse(context, lookup.problem, lookup.expected, name)
  if (lookup.value !== undefined) return { text: lookup.value, variable: name }
  return refuse(context, `neither ${name} nor ${name}_FILE is set`, expected, name)
}

const shownFrom = (read: Read | undefined, shown: string): string =>
  read?.variable === undefined ? shown : `${read.variable}: ${shown}`

const shownUrl = (read: Read): string => {
  const { protocol, host } = URL.canParse(read.text) ? new URL(read.text) : { protocol: '', host: '' }
  return shownFrom(read, host === '' ? hidden : JSON.stringify(`${protocol}//${host}`))
}
