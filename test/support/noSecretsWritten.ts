import { afterAll } from 'vitest'
import { leakedSecrets } from './leakedSecrets.ts'

/** Fails a test file of which a process has written what it was told as a secret. */
afterAll(() => {
  const names = leakedSecrets()
  if (names.length > 0) throw new Error(`A process has written what it was told as a secret in ${names.join(', ')}.`)
})
