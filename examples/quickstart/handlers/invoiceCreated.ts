import type { ArrivedEvent, AtomicContext } from '../../../src/index.ts'

/** An atomic handler: what it writes with `tx` and the settlement of its event commit together, once. */
export const invoiceCreated = async (event: ArrivedEvent, { tx, log }: AtomicContext): Promise<void> => {
  await tx.query('insert into demo.ledger (invoice) values ($1)', [event.id])
  log.info({}, 'invoice handled')
}
