import { createPollDriver, type PollOptions } from '../../actors/poll.ts'
import { useJournals } from '../journal/journals.ts'
import { proxied } from '../journal/proxied.ts'
import { conformance, type Service } from './conformance.ts'
import { liveRows, randomSource, settleRowsOf } from './rows.ts'

const journals = useJournals()

/** A table of a database that the poller reaches by a line of its own. */
const openTable = async (): Promise<Service> => {
  const source = randomSource()
  const { proxy, url } = await proxied(journals().url)
  const replica = await journals().open()
  const { sql, schema } = journals()
  await sql(`create table S.${source} (no int primary key, status text not null default 'new')`)
  const options: PollOptions = {
    url,
    mode: 'trigger',
    table: `${schema}.${source}`,
    key: 'no',
    where: `status = 'new'`,
    take: { mark: { status: 'seen' } },
    type: 'row.seen',
    pollMs: { min: 10, max: 20 },
  }
  return {
    source,
    driver: createPollDriver(options, replica.intake),
    stranded: createPollDriver({ ...options, url: 'postgresql://127.0.0.1:1/nobody' }, replica.intake),
    async publish(...numbers) {
      await sql(`insert into S.${source} (no) select unnest($1::int[])`, [numbers])
    },
    async remaining() {
      const fresh = await sql(`select from S.${source} where status = 'new'`)
      return fresh.length + (await liveRows(journals(), source))
    },
    connections: proxy.connections,
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

conformance('poll', { remembers: 'journal', bringsReleased: false, cut: 'lost' }, openTable)
