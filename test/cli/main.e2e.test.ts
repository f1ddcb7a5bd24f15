import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startProcess } from '../support/processDriver.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

/** Prints each flag of V8 that the process sets; V8 does not tell which are set. */
const telling = `data:text/javascript,${encodeURIComponent(`
  import v8 from 'node:v8'
  import { syncBuiltinESMExports } from 'node:module'
  const set = v8.setFlagsFromString
  v8.setFlagsFromString = (flags) => { console.log('V8:', flags); set(flags) }
  syncBuiltinESMExports()
`)}`

test('the program keeps V8 from making the objects of events old, and V8 knows the flag', async () => {
  await using process = startProcess(['--import', telling, main, '--help'])
  expect(await process.exit).toMatchObject({ code: 0 })
  expect(process.output()).toContain('V8: --no-allocation-site-pretenuring')
  expect(process.output()).not.toMatch(/unrecognized flag/i)
})
