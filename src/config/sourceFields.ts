import { z } from 'zod'
import type { Credit } from '../../machines/driver.ts'
import { duration, type Field, fitting, refuse, shape, text, whole } from './fields.ts'

/** Options that several kinds of source have in common. */

export const MiB = 1_048_576

/** How much may be in flight at once. */
export const creditFields: { readonly credit: Field<number>; readonly creditBytes: Field<number> } = {
  credit: whole(1, 10_000, ' (there is no "unlimited")').default(32),
  creditBytes: whole(1_024, 4_096 * MiB).default(64 * MiB),
}

export const creditOf = (options: { readonly credit: number; readonly creditBytes: number }): Credit => ({
  events: options.credit,
  bytes: options.creditBytes,
})

export const interval: Field<{ min: number; max: number }> = shape({
  min: duration('10ms', '1h').exactOptional(),
  max: duration('10ms', '1d').exactOptional(),
})
  .default({})
  .transform(({ min, max }, context) => {
    if (min !== undefined && max !== undefined && min > max)
      return refuse(context, 'has a `min` above its `max`', 'min ≤ max')
    return { min: min ?? Math.min(2_000, max ?? 2_000), max: max ?? Math.max(30_000, min ?? 0) }
  })

export const maxEventBytes: Field<number> = whole(1, 1_024 * MiB).default(16 * MiB)
export const connectTimeout: Field<number> = duration('100ms', '5m').default(10_000)
export const headerName: Field<string> = text('the name of a header', /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/)

const typeExpected = "a type such as 'order.created', without spaces and stars"
export const eventType: Field<string> = text(typeExpected, /^[^\s*]+$/)

/** A fixed type, or a function that tells it. */
export const eventTypeOr = <Teller>(): Field<string | Teller> =>
  fitting(
    z.custom<string | Teller>((value) => typeof value === 'function' || eventType.safeParse(value).success),
    `${typeExpected}, or a function that tells it`,
  )

/** `{ header: 'name' }`. */
export const headerReference: Field<{ header: string }> = shape({ header: headerName })
