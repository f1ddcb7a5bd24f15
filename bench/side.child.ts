import { measure } from './support/measure.ts'
import type { Measured } from './workload.ts'
import { workloads } from './workloads.ts'

/** One side of one workload, in a process of its own: runs when it is told to, and tells what it measured. */
export type SideCommand = 'run' | 'close'

export type SideAnswer = { readonly opened: true } | { readonly measured: Measured }

const [workloadName, sideName = '', events] = process.argv.slice(2)
const workload = workloads.find(({ name }) => name === workloadName)
const open = workload?.sides[sideName] ?? workload?.peers?.[sideName]
if (open === undefined) throw new Error(`There is no side ${sideName} of ${workloadName}.`)
const tell = (answer: SideAnswer): void => void process.send?.(answer)

const side = await open(Number(events))
tell({ opened: true })

process.on('message', async (command: SideCommand) => {
  if (command === 'close') {
    await side.close()
    process.disconnect()
    return
  }
  const run = await side.prepare()
  const measured = await measure(Number(events), run)
  await run.end()
  tell({ measured })
})
