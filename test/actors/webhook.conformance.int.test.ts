import { setTimeout as sleep } from 'node:timers/promises'
import type { WebhookOptions } from '../../actors/webhook/options.ts'
import { createWebhookServer } from '../../actors/webhook/server.ts'
import { createWebhookDriver } from '../../actors/webhook.ts'
import { useJournals } from '../journal/journals.ts'
import { conformance, type Service } from './conformance.ts'
import { liveRows, randomSource, settleRowsOf } from './rows.ts'
import { defaults, sign, silent } from './webhook.support.ts'

const journals = useJournals()
const options: WebhookOptions = { ...defaults, id: 'x-id' }

/** A path, and a sender that tries again until it is told that its event is safe. */
const openPath = async (): Promise<Service> => {
  const source = randomSource()
  const { intake, ledger, close } = await journals().open()
  const server = createWebhookServer({ host: '127.0.0.1', port: 0, log: silent })
  // An address for documentation (RFC 5737), which is no machine's own.
  const nowhere = createWebhookServer({ host: '192.0.2.1', port: 0, log: silent })
  const closed = new AbortController()
  const sending = new Map<number, Promise<void>>()

  const send = async (no: number): Promise<void> => {
    while (!closed.signal.aborted) {
      const status = await post(JSON.stringify({ no }), no).catch(() => 0)
      if (status === 202 || status === 200) return void sending.delete(no)
      await sleep(10)
    }
  }
  const post = async (body: string, no: number): Promise<number> => {
    const headers = {
      'content-type': 'application/json',
      connection: 'close',
      'x-signature': sign(body),
      'x-id': String(no),
    }
    const { port } = server.address() ?? { port: 1 }
    const url = `http://127.0.0.1:${port}${options.path}`
    return (await fetch(url, { method: 'POST', body, headers, signal: closed.signal })).status
  }

  return {
    source,
    driver: createWebhookDriver(options, { server, intake }),
    stranded: createWebhookDriver(options, { server: nowhere, intake }),
    async publish(...numbers) {
      for (const no of numbers) sending.set(no, send(no))
    },
    remaining: async () => sending.size + (await liveRows(journals(), source)),
    connections: () => (server.address() ? 1 : 0),
    cut() {},
    heal() {},
    settleRows: settleRowsOf({ ledger }),
    async close() {
      closed.abort()
      await Promise.all(sending.values())
      await close()
    },
  }
}

conformance('webhook', { remembers: 'journal', bringsReleased: false, cut: 'none' }, openPath)
