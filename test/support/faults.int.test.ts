import { expect, test } from 'vitest'
import { answers } from './answers.ts'
import { startKafkaServer } from './kafkaServer.ts'
import { startPostgresServer } from './postgresServer.ts'
import { startRabbitServer } from './rabbitServer.ts'
import type { ServerKind, TestServer } from './serverKinds.ts'

const starters: readonly (readonly [ServerKind, () => Promise<TestServer>])[] = [
  ['postgres', () => startPostgresServer()],
  ['rabbitmq', () => startRabbitServer()],
  ['kafka', () => startKafkaServer()],
]

test.each(starters)(
  'a %s of its own is restarted, frozen and killed by a test, and comes back at its address',
  async (kind, start) => {
    const server = await start()
    const answered = () => answers[kind](server.url).catch(() => false)
    try {
      await server.restart()
      expect(await answered()).toBe(true)
      await server.pause()
      const frozen = answered()
      expect(await Promise.race([frozen, new Promise((resolve) => setTimeout(resolve, 500, 'silent'))])).toBe('silent')
      server.resume()
      expect(await frozen).toBe(true)
      await server.kill()
      expect(await answered()).toBe(false)
      await server.restart()
      expect(await answered()).toBe(true)
    } finally {
      await server.stop()
    }
    expect(await answered()).toBe(false)
  },
  120_000,
)
