import { defineController, on, poll, rabbitmq, unsigned, webhook } from 'koksmat-controller'

/** What `docker compose up` runs (see compose.yaml): RabbitMQ, PostgreSQL and a webhook. */
export default defineController({
  sources: {
    orders: rabbitmq({ queue: 'orders', declare: true }),
    invoices: poll({
      table: 'demo.invoices',
      where: `status = 'new'`,
      mark: { status: 'seen' },
      type: 'invoice.created',
    }),
    demo: webhook({ path: '/hooks/demo', type: 'demo.hook', signature: unsigned() }),
  },
  handlers: [
    on('order.*', (_event, { log }) => log.info({}, 'order handled')),
    on('invoice.created', { atomic: 'ledger' }, async (event, { tx, counter }) => {
      await tx.query('insert into demo.ledger (invoice) values ($1)', [event.id])
      counter('invoices').add(1)
    }),
    on('demo.hook', (_event, { log }) => log.info({}, 'webhook handled')),
  ],
  // An application has migrations of its own.
  prepare: async (database) => {
    await database.query('create schema if not exists demo')
    await database.query(`create table if not exists demo.invoices (
      id bigint generated always as identity primary key, amount integer not null, status text not null default 'new')`)
    await database.query('create table if not exists demo.ledger (invoice text primary key)')
  },
})
