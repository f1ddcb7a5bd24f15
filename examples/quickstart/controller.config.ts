import { defineController, on, poll, tableQueue, unsigned, webhook } from '../../src/index.ts'
import { demoHook } from './handlers/demoHook.ts'
import { invoiceCreated } from './handlers/invoiceCreated.ts'
import { orderCreated, orderSchema } from './handlers/orderCreated.ts'

/** `npm start` runs this one, `npm run demo` sends it an event of each kind. Your own imports `koksmat-controller`. */
export default defineController({
  sources: {
    // A queue in Postgres, filled by: select koksmat.enqueue('orders', 'order.created', '{ … }')
    orders: tableQueue({ queue: 'orders' }),

    // Rows of a table, as they appear.
    invoices: poll({
      table: 'demo.invoices',
      where: `status = 'new'`,
      mark: { status: 'seen' },
      type: 'invoice.created',
      interval: { min: '500ms', max: '2s' },
    }),

    // Unsigned, so that curl can play with it. Yours has a signature: github(env('GITHUB_SECRET')).
    demo: webhook({ path: '/hooks/demo', type: 'demo.hook', signature: unsigned() }),
  },

  handlers: [
    on('order.created', { schema: orderSchema, key: (event) => event.data.customer }, orderCreated),
    on('invoice.created', { atomic: 'ledger' }, invoiceCreated),
    on('demo.hook', demoHook),
  ],

  // The table of the demo; an application has migrations of its own.
  prepare: async (database) => {
    await database.query(`select pg_advisory_xact_lock(hashtext('koksmat demo'))`)
    await database.query('create schema if not exists demo')
    await database.query(`create table if not exists demo.invoices (
      id bigint generated always as identity primary key, amount integer not null, status text not null default 'new')`)
    await database.query('create table if not exists demo.ledger (invoice text primary key)')
  },
})
