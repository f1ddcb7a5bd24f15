import { defineController, on, tableQueue } from '../../src/index.ts'

export default defineController({
  sources: { orders: tableQueue({ queue: 'orders' }) },
  handlers: [on('order.created', (event, { log }) => log.info({ id: event.id }, 'order handled'))],
})
