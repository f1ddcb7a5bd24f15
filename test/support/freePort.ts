import { createServer } from 'node:net'

/**
 * A port of 127.0.0.1 that nobody listens on now, and that stays free for whoever asked, also while its process is down:
 * it is below those that the kernel gives to outgoing connections and to listeners that ask for any port, each worker of
 * a test run has its own hundreds, and none is given twice before all others were.
 */
export const freePort = async (): Promise<number> => {
  for (let tried = 0; tried < portsOfWorker; tried++) {
    offset = (offset + 1) % portsOfWorker
    if (await isFree(first + offset)) return first + offset
  }
  throw new Error(`All ports from ${first} to ${first + portsOfWorker - 1} are taken.`)
}

const portsOfWorker = 700
const worker = Number(process.env['VITEST_POOL_ID'] ?? 0)
const first = 10_240 + (worker % 32) * portsOfWorker
let offset = Math.floor(Math.random() * portsOfWorker)

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
