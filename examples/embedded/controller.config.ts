import { defineController, on, tableQueue } from '../../src/index.ts'

export default defineController({
  sources: { orders: tableQueue({ queue: 'orders' }) },
  handlers: [on('order.created', (_event, { log }) => log.info({}, 'order handled'))],
})
