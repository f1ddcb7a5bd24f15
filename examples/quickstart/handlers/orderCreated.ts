import { z } from 'zod'
import type { ArrivedEvent, HandlerContext } from '../../../src/index.ts'

export const orderSchema = z.object({ customer: z.string(), total: z.number() })

/** A plain handler: it may run again, after a crash for one, and `event.id` says that it is the same event. */
export const orderCreated = (
  event: ArrivedEvent<string, z.infer<typeof orderSchema>>,
  { log, counter }: HandlerContext,
): void => {
  log.info({ total: event.data.total }, 'order handled')
  counter('orders').add(1)
}
