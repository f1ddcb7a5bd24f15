import type { Driver } from '../machines/driver.ts'
import type { Intake } from '../machines/journal.ts'
import { createDoor } from './webhook/door.ts'
import type { WebhookOptions } from './webhook/options.ts'
import type { WebhookServer } from './webhook/server.ts'

export type { WebhookOptions } from './webhook/options.ts'

/**
 * Webhooks: a path of the process's one HTTP server, verified, journaled, answered, handed over.
 *
 * Requests are answered 503 before `consume`, while paused, above the credit and after `cancel`, so that the sender (or
 * the balancer before it) goes elsewhere or comes again. `cancel` lets what has begun to arrive come in, for two seconds
 * at most; senders that wait for a handler are answered when it settles, at their timeout, or at the latest by
 * `disconnect`, with a 202: their events are in the journal.
 *
 * There is no connection to lose: `host.lost` is never called.
 */
export interface WebhookShared {
  readonly server: Pick<WebhookServer, 'mount' | 'isShedding'>
  readonly intake: Pick<Intake, 'accept'>
  /** Seconds since 1970, by which the timestamps of signatures are judged. Default: the system's clock. */
  readonly nowSeconds?: () => number
}

const readingMs = 2_000

export const createWebhookDriver = (options: WebhookOptions, { server, intake, nowSeconds }: WebhookShared): Driver => {
  let lastReceipt = 0
  const shared = {
    intake,
    isShedding: server.isShedding,
    nextReceipt: () => ++lastReceipt,
    nowSeconds: nowSeconds ?? (() => Math.floor(Date.now() / 1_000)),
  }
  return {
    kind: 'webhook.event',
    async connect(host) {
      const door = createDoor(options, host, shared)
      const unmount = await server.mount({ path: options.path, method: options.method, handle: door.handle })
      return {
        consume: async () => door.open(),
        settle: door.settle,
        pause: () => door.pause(true),
        resume: () => door.pause(false),
        // The door looks at the credit with each request.
        creditChanged: () => undefined,
        cancel: () => door.shut(readingMs),
        async disconnect() {
          await door.shut(0)
          door.dismiss()
          await unmount()
        },
      }
    },
  }
}
