import { describe, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import type { Queryable } from '../../machines/journal.ts'
import { on } from '../../src/index.ts'

/** Checked by the compiler (`npm run check`); the runner only sees that nothing throws. */
const Order = z.object({ customer: z.string(), total: z.number() })

describe('a handler is typed by its type, its schema and its options', () => {
  test('without a schema the payload is unknown', () => {
    on('order.created', (event, context) => {
      expectTypeOf(event.type).toEqualTypeOf<'order.created'>()
      expectTypeOf(event.data).toEqualTypeOf<unknown>()
      expectTypeOf(context).not.toHaveProperty('tx')
    })
  })

  test('a schema types the payload, in the key as in the handler, in any order', () => {
    on('order.created', { schema: Order, key: (event) => event.data.customer }, (event) => {
      expectTypeOf(event.data).toEqualTypeOf<{ customer: string; total: number }>()
    })
    on('order.created', { key: (event) => event.data.customer, schema: Order, timeout: '5s' }, (event) => {
      expectTypeOf(event.data.total).toEqualTypeOf<number>()
    })
  })

  test('a prefix is not the type of the event', () => {
    on('order.*', (event) => expectTypeOf(event.type).toEqualTypeOf<`order.${string}`>())
    on('*', (event) => expectTypeOf(event.type).toEqualTypeOf<string>())
  })

  test('only an atomic handler has a transaction', () => {
    on('a', { atomic: 'ledger', schema: Order, key: (event) => event.data.customer }, (event, { tx }) => {
      expectTypeOf(tx).toExtend<Queryable>()
      expectTypeOf(event.data.total).toEqualTypeOf<number>()
    })
    on('a', { atomic: true }, (_event, context) => expectTypeOf(context).toHaveProperty('tx'))
    on('a', { retry: { attempts: 3 } }, (_event, context) => expectTypeOf(context).not.toHaveProperty('tx'))
  })

  test('only a long handler has progress and checkpoints', () => {
    on('a', { long: true, schema: Order }, (event, context) => {
      expectTypeOf(context).toHaveProperty('saveCheckpoint')
      expectTypeOf(event.data.total).toEqualTypeOf<number>()
    })
    on('a', { timeout: '1s' }, (_event, context) => expectTypeOf(context).not.toHaveProperty('saveCheckpoint'))
  })

  test('a misspelled option and a duration without unit are compile errors', () => {
    // @ts-expect-error: attemps
    on('a', { retry: { attemps: 3 } }, () => {})
    // @ts-expect-error: no unit
    on('a', { timeout: '5' }, () => {})
    // @ts-expect-error: timeot
    on('a', { timeot: '5s' }, () => {})
  })
})
