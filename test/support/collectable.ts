import { writeSync } from 'node:fs'

/**
 * Loaded before a program (`--expose-gc --import`): at SIGUSR2 it collects its garbage and says so. What it has allocated
 * and what it holds can be told apart then.
 */
process.on('SIGUSR2', () => {
  globalThis.gc?.()
  writeSync(2, 'collected\n')
})
