import { expect, it } from 'vitest'
import { z } from 'zod'
import type { ResolvedHandler } from '../../src/config/resolved.ts'
import { createSecretPaths } from '../../src/runtime/secretPaths.ts'

const handler = (type: string, schema: NonNullable<ResolvedHandler['schema']>): ResolvedHandler => ({
  type,
  schema,
  retry: { attempts: 1, inPlace: 0, backoffMs: 1, maxBackoffMs: 1 },
  long: false,
})
const event = (type: string) => ({ type, data: {}, via: 'orders' })

it('the schema of a handler says which parts of its events are secret, however deep they stand', () => {
  const schema = z.object({
    pin: z.string().meta({ secret: true }),
    card: z.object({ number: z.string() }).meta({ writeOnly: true }),
    items: z.array(z.object({ code: z.string().meta({ format: 'password' }), name: z.string() })),
    byName: z.record(z.string(), z.object({ key: z.string().meta({ secret: true }) })),
    either: z.union([z.object({ a: z.string().meta({ secret: true }) }), z.string()]),
  })
  const secretPathsOf = createSecretPaths([handler('order.*', schema)])
  const paths = ['data.pin', 'data.card', 'data.items.code', 'data.byName.*.key', 'data.either.a']
  expect(secretPathsOf(event('order.created'))?.toSorted()).toEqual(paths.toSorted())
  expect(secretPathsOf(event('other'))).toBeUndefined()
  expect(secretPathsOf({ type: 'order.created' })).toBeUndefined()
})

it('a schema that does not describe itself marks nothing', () => {
  const mute = { '~standard': { version: 1, vendor: 'mute', validate: (value: unknown) => ({ value }) } } as const
  expect(createSecretPaths([handler('a', mute)])(event('a'))).toEqual([])
})
