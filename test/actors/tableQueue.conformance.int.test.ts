import { createTableQueueDriver } from '../../actors/tableQueue.ts'
import { useJournals } from '../journal/journals.ts'
import { proxied } from '../journal/proxied.ts'
import { conformance, type Service } from './conformance.ts'
import { liveRows, randomSource, settleRowsOf } from './rows.ts'

const journals = useJournals()

const openQueue = async (): Promise<Service> => {
  const queue = randomSource()
  const { proxy, url } = await proxied(journals().url)
  const replica = await journals().open({ url })
  const nobody = journals().create({ url: 'postgresql://127.0.0.1:1/nobody' })
  const options = { queue, pollMs: { min: 10, max: 20 } }
  return {
    source: queue,
    driver: createTableQueueDriver(options, replica.intake),
    stranded: createTableQueueDriver(options, nobody.intake),
    async publish(...numbers) {
      for (const no of numbers)
        await journals().sql(`select S.enqueue($1, 'order.created', json_build_object('no', $2::int))`, [queue, no])
    },
    remaining: () => liveRows(journals(), queue),
    // The connections are the journal's; a link has none of its own.
    connections: () => 0,
    cut() {
      proxy.refuse()
      proxy.reset()
    },
    heal: proxy.heal,
    settleRows: settleRowsOf(replica),
    async close() {
      await replica.close()
      await proxy.close()
    },
  }
}

conformance('table queue', { remembers: 'journal', bringsReleased: true, cut: 'lost' }, openQueue)
