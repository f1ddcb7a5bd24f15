import { usage } from './output.ts'

const oldest = 24

/** An older Node fails somewhere later, and of something else: it takes no TypeScript for a configuration. */
export const checkNode = (running: string): void => {
  if (Number.parseInt(running, 10) < oldest)
    throw usage(`This needs Node.js ${oldest} or newer, and is run by ${running}.`)
}
