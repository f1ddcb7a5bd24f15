import { z } from 'zod'
import { ControllerError } from '../../machines/errors.ts'
import { durationForms, formatDuration, parseDuration } from './duration.ts'
import type { Problem } from './problems.ts'
import { nearest, pathText } from './problems.ts'
import { redact } from './redact.ts'

/**
 * The kinds of value a configuration is made of. Each is a zod type that reports what is wrong in the words of a
 * `Problem`: what was found, and what is expected. An option set to `undefined` counts as not given.
 */

/** A zod type without the details of how it is built, so that it can be named. */
export type Field<Output> = z.ZodType<Output>

/** Values that fit a zod type; `expected` says in words what fits. */
export const fitting = <Output>(type: z.ZodType<Output>, expected: string): Field<Output> =>
  z.unknown().transform((value, context) => {
    const read = type.safeParse(value)
    return read.success ? read.data : refuse(context, value === undefined ? 'is missing' : 'is not allowed', expected)
  })

/** An object with these options and no others. */
export const shape = <Fields extends z.ZodRawShape>(fields: Fields): Field<z.output<z.ZodObject<Fields>>> => {
  const names = Object.keys(fields)
  const known = names.map((name) => `\`${name}\``).join(', ')
  const object = z.object(fields)
  return z.unknown().transform((value, context): z.output<z.ZodObject<Fields>> => {
    if (!isPlainObject(value)) return refuse(context, found(value), `an object with ${known}`)
    const given = Object.fromEntries(Object.entries(value).filter(([, option]) => option !== undefined))
    for (const name of Object.keys(given).filter((option) => !names.includes(option))) {
      const meant = nearest(name, names)
      const expected = meant === undefined ? `one of ${known}` : `\`${meant}\``
      context.addIssue({
        code: 'custom',
        message: 'is not an option',
        path: [name],
        params: { expected, shown: 'not shown' },
      })
    }
    return part(object, given, context)
  })
}

/** What zod found in the value at `path` of a configuration. */
export const problemsOf = (
  issues: readonly z.core.$ZodIssue[],
  path: readonly PropertyKey[],
  value: unknown,
): Problem[] =>
  issues.map((issue) => {
    const { expected, shown } = paramsOf(issue)
    const whole = [...path, ...issue.path]
    const wrong = issue.path.reduce(optionOf, value)
    return { path: pathText(whole), value: shown ?? redact(wrong, whole), problem: issue.message, expected }
  })

/** Adds a problem in our own words; for use in a `transform`. */
export const refuse = (context: z.core.$RefinementCtx, problem: string, expected: string, shown?: string): never => {
  context.addIssue({
    code: 'custom',
    message: problem,
    params: { expected, ...(shown === undefined ? {} : { shown }) },
  })
  return z.NEVER
}

/** Reads a part of a value inside a `transform`; what is wrong with the part is wrong with the whole, `at` that place. */
export const part = <Output>(
  field: z.ZodType<Output>,
  value: unknown,
  context: z.core.$RefinementCtx,
  at: readonly PropertyKey[] = [],
): Output => {
  const read = field.safeParse(value)
  if (read.success) return read.data
  for (const issue of read.error.issues) {
    context.addIssue({ code: 'custom', message: issue.message, path: [...at, ...issue.path], params: paramsOf(issue) })
  }
  return z.NEVER
}

export const duration = (least: string, most: string): Field<number> =>
  z.unknown().transform((value, context) => {
    const [leastMs, mostMs] = [parseDuration(least), parseDuration(most)]
    const expected = `${durationForms} from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}`
    if (typeof value !== 'string') return refuse(context, found(value), expected)
    try {
      const ms = parseDuration(value)
      return ms >= leastMs && ms <= mostMs ? ms : refuse(context, 'is out of range', expected)
    } catch (thrown) {
      if (thrown instanceof ControllerError) return refuse(context, 'is not a duration', expected)
      throw thrown
    }
  })

export const whole = (least: number, most: number, note = ''): Field<number> =>
  fitting(z.int().min(least).max(most), `a whole number from ${grouped(least)} to ${grouped(most)}${note}`)

export const text = (expected: string, pattern: RegExp = /^[^\s](?:.*[^\s])?$/): Field<string> =>
  fitting(z.string().min(1).max(1_000).regex(pattern), expected)

/** A text that is passed on as it is, such as SQL. */
export const anyText = (expected: string): Field<string> => fitting(z.string().regex(/\S/), expected)

export const flag = (): Field<boolean> => fitting(z.boolean(), 'true or false')

export const oneOf = <const Choice extends string>(...choices: Choice[]): Field<Choice> =>
  fitting(z.enum(choices), choices.map((choice) => `'${choice}'`).join(' or '))

export const listOf = <Item>(item: Field<Item>, expected: string): Field<Item[]> =>
  z.unknown().transform((value, context) => {
    if (!Array.isArray(value) || value.length === 0) return refuse(context, found(value), expected)
    return part(z.array(item), value, context)
  })

/** A function of the user's; what it takes and gives is checked by the compiler only. */
export const functionOf = <Signature>(): Field<Signature> =>
  fitting(
    z.custom<Signature>((value) => typeof value === 'function'),
    'a function',
  )

export const found = (value: unknown): string => {
  if (value === undefined) return 'is missing'
  return Array.isArray(value) && value.length === 0 ? 'is empty' : 'is not allowed'
}

export const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a path names: options of sources and handlers stand one level deeper than users write them. */
const optionOf = (value: unknown, name: PropertyKey): unknown => {
  if (typeof value !== 'object' || value === null) return undefined
  const holder = Object.hasOwn(value, name) ? value : Reflect.get(value, 'options')
  return typeof holder === 'object' && holder !== null ? Reflect.get(holder, name) : undefined
}

const paramsOf = (issue: z.core.$ZodIssue): { expected: string; shown?: string } => {
  const params = issue.code === 'custom' ? issue.params : undefined
  const shown = params?.['shown']
  return { expected: String(params?.['expected'] ?? 'another value'), ...(typeof shown === 'string' ? { shown } : {}) }
}

const grouped = (value: number): string => value.toLocaleString('en-US')
