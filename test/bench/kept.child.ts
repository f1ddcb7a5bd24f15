import { measure } from '../../bench/support/measure.ts'
import { control } from '../../bench/workloads/control.ts'

/** Runs the control channel twice and says when the second run begins and ends, between the lines of `--trace-gc`. */
const events = Number(process.argv[2])
const side = await control.sides['controller']?.(events)
for (const name of ['first', 'second']) {
  const run = await side?.prepare()
  process.stdout.write(`begin ${name}\n`)
  if (run !== undefined) await measure(events, run)
  process.stdout.write(`end ${name}\n`)
  await run?.end()
}
