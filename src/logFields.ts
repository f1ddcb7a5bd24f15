import { hidden, isSecretName, oneLine, withoutCredentials } from './config/redact.ts'

/**
 * What goes into a log line, made safe: values under the name of a secret and credentials in URLs are redacted; control
 * characters, line breaks and terminal escapes are taken out, so that nobody can forge a line; bytes are counted, not
 * shown; and the whole is bounded.
 */

const maxDepth = 6
const maxItems = 100
const maxTextLength = 4_096
const stackLine = /^\s+at .+$/

export const cleanText = (text: string): string => {
  const bounded = text.length > maxTextLength ? `${text.slice(0, maxTextLength)}…` : text
  return oneLine(withoutCredentials(bounded))
}

/** The fields of a line. An error given instead of fields stands under `err`. */
export const cleanBranch = (fields: object): Record<string, unknown> =>
  fields instanceof Error ? { err: cleanError(fields, 0) } : cleanObject(fields, 0)

const cleanObject = (object: object, depth: number): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(object)
      .slice(0, maxItems)
      .map(([name, value]) => [oneLine(name), isSecretName(name) ? withheld(value) : clean(value, depth + 1)]),
  )

/** A number or a flag is no secret, whatever it is called: `tokens: 3`. */
const withheld = (value: unknown): unknown =>
  typeof value === 'number' || typeof value === 'boolean' || value === undefined || value === null ? value : hidden

const clean = (value: unknown, depth: number): unknown => {
  if (typeof value === 'string') return cleanText(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Error) return cleanError(value, depth)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `${value.byteLength} bytes`
  if (depth >= maxDepth) return '…'
  if (Array.isArray(value)) return value.slice(0, maxItems).map((item) => clean(item, depth + 1))
  return cleanObject(value, depth)
}

/** Its message on one line; of its stack only the places, which no message can imitate. */
const cleanError = (error: Error, depth: number): Record<string, unknown> => {
  const { name, message, stack, cause, ...rest } = { ...error, ...named(error) }
  const type = cleanText(String(name))
  const text = cleanText(String(message))
  const trace = String(stack ?? '')
  const places = trace
    .slice(trace.indexOf(String(message)) + String(message).length)
    .split('\n')
    .filter((line) => stackLine.test(line))
    .map((line) => `    ${cleanText(line.trim())}`)
  return {
    type,
    message: text,
    stack: [`${type}: ${text}`, ...places].join('\n'),
    ...cleanObject(rest, depth),
    ...(cause === undefined || depth >= maxDepth ? {} : { cause: clean(cause, depth + 1) }),
  }
}

const named = ({ name, message, stack, cause }: Error): Pick<Error, 'name' | 'message' | 'stack' | 'cause'> => ({
  name,
  message,
  ...(stack === undefined ? {} : { stack }),
  ...(cause === undefined ? {} : { cause }),
})
