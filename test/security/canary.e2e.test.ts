import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, inject, it } from 'vitest'
import type { ParkedSummary } from '../../machines/journal.ts'
import { createWorld } from '../e2e/lifecycle.harness.ts'
import { openViewer } from '../inspector/support.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { until } from '../support/until.ts'

/**
 * Secrets that would be known again are put everywhere a secret can stand, and much goes wrong at the most talkative
 * level. What the process says of it is searched for them.
 */
it('no secret and no payload is in the log, the status, the metrics, the graph, the errors of parked events or a flight; the inspector shows no secret', async () => {
  const database = new URL(inject('databaseUrl'))
  const proxy = await tcpProxy({ port: Number(database.port) })
  const password = decodeURIComponent(database.password)
  database.port = String(proxy.port)
  const amqp = new URL(inject('amqpUrl'))
  const canaries = {
    signing: 'canary-signing-4f1c9a7e2b80d653',
    token: 'canary-token-9e2d7b1a4c6f8035-0123456789',
    brokerPassword: 'canary-broker-77aa01',
    payload: 'canary-payload-31337',
    authorization: 'canary-authorization-5ca1ab1e',
    signature: 'canary-signature-c0ffee',
    databasePassword: password,
    rotated: 'canary-rotated-0b5e55ed-0123456789ab',
    named: 'canary-named-d15ea5e',
  }
  amqp.username = 'nobody'
  amqp.password = canaries.brokerPassword
  const temporary = mkdtempSync(join(tmpdir(), 'koksmat-canary-'))
  await using world = await createWorld()
  const admin = async (path: string): Promise<string> => {
    const headers = { authorization: `Bearer ${canaries.token}` }
    return (await fetch(`http://127.0.0.1:${world.adminPort}${path}`, { headers })).text()
  }
  try {
    const controller = await world.start({
      DATABASE_URL: database.href,
      AMQP_URL: amqp.href,
      LIFECYCLE_SECRETS: canaries.signing,
      KOKSMAT_ADMIN_TOKEN: canaries.token,
      LOG_LEVEL: 'trace',
      TMPDIR: temporary,
    })
    const authorization = `Bearer ${canaries.token}`
    const viewer = await openViewer(`http://127.0.0.1:${world.adminPort}/inspector/`, { headers: { authorization } })
    await viewer.hello()
    viewer.watch({ events: 'all', snapshots: 'all', states: true })
    const payload = { id: 'secret', note: canaries.payload, password: canaries.named }
    const post = (path: string, headers: Record<string, string>, body: string) =>
      fetch(`http://127.0.0.1:${world.port}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${canaries.authorization}`, ...headers },
        body,
      })
    const signature = { 'x-hub-signature-256': `sha256=${canaries.signature}` }
    expect((await post('/signed/github', signature, JSON.stringify(payload))).status).toBe(401)
    expect((await post('/hook', { 'x-id': 'torn' }, `{"note":"${canaries.payload}`)).status).toBe(400)
    expect((await post('/hook', { 'x-id': 'misfit', 'x-type': 'strict' }, JSON.stringify(payload))).status).toBe(202)
    await world.send('table', 'thrown', { type: 'moody', data: { fail: 'always', note: canaries.payload } })
    await world.send('table', 'unknown', { type: 'nobody.knows', data: { note: canaries.payload } })
    for (const entrance of ['hook', 'record'] as const) {
      await world.send(entrance, `${entrance}-fails`, { type: 'moody', data: { ...payload, fail: 'always' } })
    }
    await world.send('row', 'row', { type: 'plain', data: { key: canaries.payload } })
    const rotation = { name: 'rotateSecret', source: 'signedGithub', add: canaries.rotated }
    const rotated = await fetch(`http://127.0.0.1:${world.adminPort}/control`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization },
      body: JSON.stringify(rotation),
    })
    expect(rotated.status).toBe(200)
    await world.sendRaw('record', `{"note":"${canaries.payload}`)
    const parked = await until(async () => {
      const { events } = JSON.parse(await admin('/events')) as { events: ParkedSummary[] }
      return events.length === 6 ? events : undefined
    })
    proxy.reset()
    proxy.blackHole()
    await sleep(3_000)
    proxy.heal()
    await until(async () => JSON.parse(await admin('/status')).journal.state === 'up')
    const { backingOff } = { backingOff: JSON.parse(await admin('/status')).sources.rabbit }
    expect(backingOff.lastError.code).toBeDefined()
    const errors = await Promise.all(
      parked.map(async ({ seq }) => JSON.stringify(JSON.parse(await admin(`/events/${seq}`)).history)),
    )
    const seen = {
      status: await admin('/status'),
      metrics: await admin('/metrics'),
      graph: await admin('/graph'),
      parked: await admin('/events'),
      errors: errors.join('\n'),
      flight: await admin('/inspector/flight'),
      rotation: await rotated.text(),
      dumps: '',
      log: '',
    }
    const frames = viewer.frames.join('\n')
    expect(frames).toContain(canaries.payload)
    await viewer.close()
    controller.signal('SIGTERM')
    await controller.exit
    seen.log = controller.output()
    const dumps = readdirSync(temporary, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    seen.dumps = dumps.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8')).join('\n')
    expect(seen.dumps).toContain('koksmat-flight')
    expect(seen.log).toContain('"drained"')
    expect(seen.log.length).toBeGreaterThan(5_000)
    const { payload: _, ...secrets } = canaries
    const searched = [...Object.entries(seen), ['frames', frames] as const]
    for (const [where, text] of searched) {
      for (const [which, canary] of Object.entries(where === 'frames' ? secrets : canaries)) {
        const at = text.indexOf(canary)
        expect(at === -1 ? 'hidden' : `${which} is in the ${where}: ${text.slice(at - 200, at + 60)}`).toBe('hidden')
      }
    }
  } finally {
    await proxy.close()
    rmSync(temporary, { recursive: true, force: true })
  }
})
