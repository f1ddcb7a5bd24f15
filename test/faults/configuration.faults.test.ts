import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type Bad, bad, canary } from '../config/bad.ts'
import { freePort } from '../support/freePort.ts'
import { startProcess } from '../support/processDriver.ts'
import { until } from '../support/until.ts'
import { quantile, row } from './record.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const config = join(import.meta.dirname, '../e2e/fixture/bad.config.ts')

/** A server of which it is only asked whether somebody came. */
const visited = async () => {
  let visits = 0
  const server: Server = createServer((socket) => {
    visits++
    socket.destroy()
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${port}`,
    visits: () => visits,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  }
}

row(
  41,
  'a bad configuration, each in a process of its own',
  {
    expected: 'exit 2 ≤ 1 s (p95), the path is named, no secret shown, 0 connections',
    // In `npm test` a few of them; all are refused by the functions behind, in `problems.unit.test.ts`.
    P: { every: 8, withinMs: 15_000 },
    N: { every: 1, withinMs: 1_000 },
  },
  async ({ every, withinMs }, { measured }) => {
    await using database = await visited()
    await using rabbit = await visited()
    await using brokers = await visited()
    const cache = mkdtempSync(join(tmpdir(), 'koksmat-bad-'))
    const started = ({ name, variables }: Partial<Bad>) => {
      const url = `postgresql://u:${canary}@${database.address}/d`
      return startProcess([main, 'start', config], {
        env: {
          // Its files are read as the package's are: compiled already.
          NODE_COMPILE_CACHE: cache,
          DATABASE_URL: url,
          AMQP_URL: undefined,
          KAFKA_BROKERS: undefined,
          BAD_DATABASE: url,
          BAD_RABBIT: `amqp://u:${canary}@${rabbit.address}`,
          BAD_KAFKA: brokers.address,
          BAD_NAME: name,
          ...variables,
        },
      })
    }
    const visits = () => [database, rabbit, brokers].map((server) => server.visits())
    try {
      const chosen = bad.filter(({ definition }, index) => definition !== undefined && index % every === 0)
      const tookMs: number[] = []
      const wrong: string[] = []
      for (const one of chosen) {
        const began = performance.now()
        await using process = started(one)
        const { code } = await process.exit
        tookMs.push(performance.now() - began)
        const said = process.output()
        const secret = /canary|12345678/.test(said)
        if (code !== 2 || secret || !said.includes(`\n  ${one.path} (`)) wrong.push(`${one.name}: ${code} ${said}`)
      }
      const connections = visits().reduce((sum, one) => sum + one, 0)
      const figures = [quantile(tookMs, 0.5), quantile(tookMs, 0.95)].map(Math.round)
      measured({
        configurations: chosen.length,
        exitMedianMs: figures[0] ?? 0,
        exitP95Ms: figures[1] ?? 0,
        connections,
      })
      expect(wrong).toEqual([])
      expect(connections).toBe(0)
      // The same sources without a fault in their configuration would have come to every server.
      await using good = started({ variables: { PORT: '0', KOKSMAT_ADMIN_PORT: '0' } })
      await until(() => visits().every((count) => count > 0), 60_000).catch((cause) => {
        throw new Error(good.output(), { cause })
      })
      expect(quantile(tookMs.slice(1), 0.95)).toBeLessThanOrEqual(withinMs)
    } finally {
      rmSync(cache, { recursive: true })
    }
  },
)
