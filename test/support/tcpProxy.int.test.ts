import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TcpProxy, tcpProxy } from './tcpProxy.ts'
import { until } from './until.ts'

const echo = createServer((socket) => socket.on('error', () => {}).pipe(socket))
let proxy: TcpProxy
let client: Socket
let heard: string
let fate: string

const dial = async () => {
  heard = ''
  fate = 'open'
  client = connect(proxy.port, '127.0.0.1').setEncoding('utf8')
  client.on('data', (text) => (heard += text))
  client.on('error', (error: NodeJS.ErrnoException) => (fate = error.code ?? 'error'))
  await once(client, 'connect')
}

beforeEach(async () => {
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const address = echo.address()
  proxy = await tcpProxy({ port: typeof address === 'object' && address !== null ? address.port : 0 })
  await dial()
})

afterEach(async () => {
  client.destroy()
  await proxy.close()
  echo.close()
})

test('bytes pass in both directions and in order', async () => {
  for (const part of ['a', 'b', 'c']) client.write(part)
  await until(() => heard === 'abc')
})

test('a reset is seen by the client as one, and the next connection works', async () => {
  client.write('x')
  await until(() => heard === 'x')
  proxy.reset()
  await until(() => fate === 'ECONNRESET')
  await dial()
  client.write('again')
  await until(() => heard === 'again')
})

test('in a black hole nothing arrives and the connection stays open', async () => {
  proxy.blackHole()
  client.write('lost')
  await expect(until(() => heard !== '', 200)).rejects.toThrow()
  expect(fate).toBe('open')
  proxy.heal()
  await until(() => fate === 'ECONNRESET')
})

test('a connection that is muted by what it has said stays open and silent, others go on', async () => {
  client.write('listen')
  await until(() => heard === 'listen')
  expect(proxy.mute(/list/)).toBe(1)
  client.write('more')
  await expect(until(() => heard !== 'listen', 200)).rejects.toThrow()
  expect(fate).toBe('open')
  const silenced = client
  await dial()
  client.write('again')
  await until(() => heard === 'again')
  silenced.destroy()
})

test('a delay holds bytes back and keeps their order', async () => {
  proxy.delay(100)
  const startedAt = performance.now()
  client.write('slow')
  await until(() => heard === 'slow')
  expect(performance.now() - startedAt).toBeGreaterThan(190)
})
