import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { startProcess } from '../support/processDriver.ts'

const log = JSON.stringify(resolve(import.meta.dirname, '../../src/log.ts'))

test.each(['json', 'pretty'])('the last %s line is out before the process exits, also into a pipe', async (format) => {
  const script = `
    import { createLog } from ${log}
    const log = createLog({ level: 'info', format: '${format}', colors: false })
    for (let n = 1; n <= 5000; n++) log.info({ n, padding: 'x'.repeat(200) }, 'line written')
    log.flush()
    log.fatal({ clean: true }, 'the last line')
    process.exit(3)`
  await using writer = startProcess(['--input-type=module', '--eval', script])
  expect(await writer.exit).toMatchObject({ code: 3 })
  const lines = writer.output().trimEnd().split('\n')
  expect(lines).toHaveLength(5001)
  expect(lines.at(-1)).toContain('the last line')
})

test('a reader that goes away does not crash the writer', async () => {
  const script = `
    import { createLog } from ${log}
    import { writeSync } from 'node:fs'
    const log = createLog({ level: 'info', format: 'json' })
    let n = 0
    const timer = setInterval(() => {
      for (let i = 0; i < 100; i++) log.info({ padding: 'x'.repeat(1000) }, 'line written')
      if (++n === 20) { clearInterval(timer); writeSync(2, 'survived') }
    }, 5)`
  const shell = `"$0" --input-type=module --eval '${script.replaceAll("'", `'\\''`)}' | head -n 1`
  await using writer = startProcess(['-c', shell, process.execPath], { command: 'sh' })
  await writer.exit
  expect(writer.output()).toContain('survived')
})
