import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { acceptAll, eventOf, idsOf, useJournals } from './journals.ts'

const journals = useJournals()
const sockets = new Set<Socket>()
let server: Server | undefined

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  server?.close()
  if (server?.listening) await once(server, 'close')
})

/** Looks like a pooler: to the client it gives a process number of its own (BackendKeyData), not the server's. */
const likeAPooler = async (url: string): Promise<string> => {
  const target = new URL(url)
  const { hostname, port } = target
  server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => socket.destroy()))
    client.pipe(upstream)
    upstream.on('data', (bytes) => {
      const at = bytes.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]))
      if (at >= 0) bytes.writeInt32BE(4711, at + 5)
      client.write(bytes)
    })
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  target.host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  return target.href
}

test('where sessions are pooled nothing is kept in one, and everything but NOTIFY works', async () => {
  const { open, url, sql } = journals()
  const replica = await open({ url: await likeAPooler(url) })
  expect(replica.lines.some(({ message }) => message.includes('sessions are pooled'))).toBe(true)
  expect(await sql('select session from S.replica')).toEqual([{ session: false }])
  const [accepted] = await acceptAll(replica, [eventOf('1')])
  if (accepted === undefined) throw new Error('not accepted')
  await replica.ledger.settle([{ as: 'done', event: accepted.event, row: accepted.row, keepMs: 60_000 }])
  await replica.enqueue('orders', { type: 'order.created', data: 1, id: '2' })
  expect(idsOf(await replica.intake.claim('orders', 1))).toEqual(['2'])
  const patient = { waitMs: 1_000, signal: new AbortController().signal }
  expect(await replica.ledger.underLock('ledger', patient, async () => 'run')).toBe('run')
  const locks = `select from pg_locks l join pg_stat_activity using (pid) where locktype = 'advisory' and application_name = $1`
  expect(await sql(locks, [`koksmat ${replica.name}`])).toEqual([])
  await replica.close()
})

test('where sessions are pooled a replica that died is known by its time, and a begun run of it is a death at once', async () => {
  const { open, url, sql } = journals()
  const dead = await open({ url: await likeAPooler(url), leaseMs: 1_500, heartbeatMs: 60_000 })
  await acceptAll(dead, [eventOf('1')])
  await dead.ledger.begin([eventOf('1')])
  const living = await open()
  expect(await living.ledger.begin([eventOf('1')])).toEqual([1])
  await until(async () => (await sql(`select from S.event where state = 'ready' and redelivered`)).length === 1)
  await dead.close()
})
