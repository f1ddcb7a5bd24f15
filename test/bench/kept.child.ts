import { measure } from '../../bench/support/measure.ts'
import { workloads } from '../../bench/workloads.ts'

/** Runs the controller's side of a workload twice and says when the second run begins and ends, between the lines of `--trace-gc`. */
const [name, count] = process.argv.slice(2)
const events = Number(count)
const side = await workloads.find((workload) => workload.name === name)?.sides['controller']?.(events)
for (const round of ['first', 'second']) {
  const run = await side?.prepare()
  process.stdout.write(`begin ${round}\n`)
  if (run !== undefined) await measure(events, run)
  process.stdout.write(`end ${round}\n`)
  await run?.end()
}
await side?.close()
