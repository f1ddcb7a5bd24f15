import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startKafkaServer } from '../support/kafkaServer.ts'
import type { TestServer } from '../support/serverKinds.ts'
import { until } from '../support/until.ts'
import { createHarness } from './kafka.harness.ts'

/** A broker that talks TLS only, and only with those who tell a password. */
const user = { username: 'controller', password: 'a-password-of-the-broker' }
const sasl = { mechanism: 'PLAIN', ...user } as const
let folder: string
let broker: TestServer
let ca: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'koksmat-tls-'))
  const keystore = join(folder, 'keys.p12')
  const store = ['-alias', 'broker', '-keystore', keystore, '-storetype', 'PKCS12', '-storepass', 'of-the-keystore']
  const keytool = (...args: string[]) =>
    execFileSync('keytool', [...args, ...store], { encoding: 'utf8', stdio: 'pipe' })
  keytool('-genkeypair', '-keyalg', 'EC', '-dname', 'CN=127.0.0.1', '-ext', 'SAN=ip:127.0.0.1', '-validity', '2')
  ca = keytool('-exportcert', '-rfc')
  broker = await startKafkaServer({ keystore, keystorePassword: 'of-the-keystore', ...user })
}, 180_000)
afterAll(async () => {
  await broker?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('over TLS and with a password records are delivered and settled as without', async () => {
  const harness = createHarness(broker.url, { sasl, tls: { ca } })
  const topic = await until(() => harness.createTopic(), 30_000)
  const member = await harness.start({ topics: [topic] }, { onBatch: 'ack' })
  await member.link.consume()
  await harness.publish(topic, [{ value: '{"no":1}' }, { value: '{"no":2}' }])
  await until(async () => (await harness.committed(member.groupId, topic))[0] === 2, 30_000)
  expect(member.delivered.map(({ event }) => event.data)).toEqual([{ no: 1 }, { no: 2 }])
  await harness.close()
})

test.each([
  ['a wrong password', { sasl: { ...sasl, password: 'another-password' } }, /authentication|password/i],
  ['a certificate that nobody vouches for', { tls: {} }, /certificate/i],
])('%s is refused when it connects, with the reason and without the password', async (_, wrong, reason) => {
  const harness = createHarness(broker.url, { sasl, tls: { ca }, ...wrong })
  const refused = await harness.start({ topics: ['any'] }).catch((thrown: unknown) => thrown)
  expect(refused).toMatchObject({ code: 'SOURCE_CONNECT_FAILED', message: expect.stringMatching(reason) })
  expect(String(refused)).not.toContain('password-of')
  await harness.close()
})
