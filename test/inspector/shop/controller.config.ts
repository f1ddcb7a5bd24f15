import { appendFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { defineController, on, poll, rabbitmq, tableQueue, unsigned, webhook } from '../../../src/index.ts'
import { unshowable } from '../unshowable.ts'

/**
 * The controller that the browser looks at: a shop that depends on a bank and on an archive. Each is up as long as the
 * folder of the shop has a file of its name.
 */
const { SHOP_NAME: name = 'shop', SHOP_FOLDER: folder = '.' } = process.env
const isUp = (service: 'bank' | 'archive'): boolean => existsSync(join(folder, service))

const Payment = z.object({
  order: z.string(),
  amount: z.number(),
  card: z.object({ number: z.string().meta({ secret: true }), brand: z.string() }),
})

export default defineController({
  sources: {
    orders: rabbitmq({ queue: name, declare: true }),
    payments: tableQueue({ queue: 'payments' }),
    reports: tableQueue({ queue: 'reports', credit: 3 }),
    invoices: poll({
      table: `${name}.invoices`,
      where: `status = 'new'`,
      mark: { status: 'seen' },
      type: 'invoice.created',
      interval: { min: '100ms', max: '500ms' },
    }),
    github: webhook({
      path: '/hooks/github',
      type: (request) => `github.${request.header('x-github-event')}`,
      id: 'x-id',
      signature: unsigned(),
    }),
  },
  handlers: [
    on('order.placed', { key: ({ id }) => id.slice(-1) }, () => sleep(2 + Math.random() * 40)),
    on('invoice.created', { atomic: 'ledger' }, async (event, { tx }) => {
      await tx.query(`insert into ${name}.ledger (invoice) values ($1)`, [event.id])
    }),
    on('github.push', () => undefined),
    on('stock.counted', () => undefined),
    // What cannot be shown: as the answer of a handler, which goes the whole way back, and as the progress of one.
    on('github.odd', () => unshowable()),
    on('github.slow', { long: true }, async (_, { draining, progress }) => {
      progress(unshowable())
      while (!isUp('archive')) await sleep(50, undefined, { signal: draining })
    }),

    // Tells in a file of each payment that went through.
    on('payment.requested', { schema: Payment, retry: { attempts: 2, inPlace: 1, backoff: '100ms' } }, ({ id }) => {
      if (!isUp('bank')) throw Object.assign(new Error('the bank does not answer'), { code: 'BANK_DOWN' })
      appendFileSync(join(folder, 'paid'), `${id}\n`)
    }),

    on('report.requested', { timeout: '10m' }, async (_, { signal }) => {
      while (!isUp('archive')) await sleep(50, undefined, { signal })
    }),
    on('github.release', { long: true }, async (_, { draining, progress }) => {
      for (let done = 3; !isUp('archive'); done = Math.min(11, done + 1)) {
        progress({ done, total: 12 })
        await sleep(1_000, undefined, { signal: draining })
      }
    }),
  ],
})
