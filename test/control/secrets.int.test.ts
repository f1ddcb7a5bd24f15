import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { defineController, env, github, ignore, tableQueue, webhook } from '../../src/index.ts'
import { type Operated, operated } from './running.ts'

const [first, second, third] = ['marker-first', 'marker-second', 'marker-third'].map((name) =>
  name.padEnd(32, '-'),
) as [string, string, string]
let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'koksmat-secret-'))
  file = join(folder, 'secret')
  writeFileSync(file, `${first}\n`)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const guarded = (): Promise<Operated> =>
  operated(
    defineController({
      sources: {
        hook: webhook({ path: '/in', type: 'pushed', signature: github(env('HOOK_SECRET')) }),
        orders: tableQueue({ queue: 'orders' }),
      },
      handlers: [ignore('*')],
    }),
    { HOOK_SECRET_FILE: file, LOG_LEVEL: 'debug' },
  )

const sent = async ({ webhooks }: Operated, secret: string): Promise<number> => {
  const body = JSON.stringify({ at: Math.random() })
  const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
  const headers = { 'content-type': 'application/json', 'x-hub-signature-256': signature }
  const answer = await fetch(`${webhooks}/in`, { method: 'POST', headers, body })
  await answer.body?.cancel()
  return answer.status
}

const rotate = (controller: Operated, more: object = {}) =>
  controller.control({ name: 'rotateSecret', source: 'hook', ...more })

test('a secret is exchanged without a gap: added, used beside the old one, which is then retired', async () => {
  await using controller = await guarded()
  expect([await sent(controller, first), await sent(controller, second)]).toEqual([202, 401])
  expect((await rotate(controller, { add: second })).body).toMatchObject({
    live: [
      { id: 1, from: 'HOOK_SECRET', lastUsed: expect.any(String) },
      { id: 2, from: 'operator' },
    ],
  })
  expect([await sent(controller, first), await sent(controller, second)]).toEqual([202, 202])
  expect((await controller.status()).sources['hook']?.secrets).toMatchObject([
    {},
    { id: 2, lastUsed: expect.any(String) },
  ])
  expect((await rotate(controller, { retire: 1 })).status).toBe(200)
  expect([await sent(controller, first), await sent(controller, second)]).toEqual([401, 202])
  expect((await rotate(controller, { retire: 2 })).status).toBe(409)
  expect(await sent(controller, second)).toBe(202)
})

test('what stands in the file now is live after it was read again, and what stood there is not', async () => {
  await using controller = await guarded()
  writeFileSync(file, third)
  expect(await sent(controller, third)).toBe(401)
  expect((await rotate(controller)).status).toBe(200)
  expect([await sent(controller, first), await sent(controller, third)]).toEqual([401, 202])
  for (const broken of ['', 'short']) {
    writeFileSync(file, broken)
    expect((await rotate(controller)).status, broken).toBeGreaterThanOrEqual(409)
    expect(await sent(controller, third)).toBe(202)
  }
})

test('no secret is in the log, in an answer or in the status, and what does not fit is refused', async () => {
  await using controller = await guarded()
  const answers = [
    await rotate(controller, { add: second }),
    await rotate(controller, { add: 'marker-short' }),
    await rotate(controller, { retire: 9 }),
    await rotate(controller, { add: second, retire: 1 }),
    await controller.control({ name: 'rotateSecret', source: 'orders', add: second }),
    await rotate(controller, { add: { marker: second } }),
  ]
  expect(answers.map(({ status }) => status)).toEqual([200, 422, 422, 422, 422, 422])
  expect(controller.audited()).toMatchObject([
    { command: 'rotateSecret', source: 'hook', how: 'added', result: 'done' },
    { how: 'added', result: 'refused' },
    { how: 'retired', result: 'refused' },
    { result: 'refused' },
    { source: 'orders', result: 'refused' },
  ])
  const status = JSON.stringify([await controller.status(), answers])
  expect(`${controller.log()}${status}`).not.toContain('marker')
})
