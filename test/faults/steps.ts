/**
 * Steps of a controller under test: each call into and out of what it is wrapped around. A step is named after what is
 * called, e.g. `ledger.settle ▸` before and `ledger.settle ◂` after it. Each is told the first time it is met; at the
 * one that `KILL_AT` names, the n-th time as `KILL_COUNT` says, the process ends as by a kill -9.
 */
const killAt = process.env['KILL_AT']
const counts = new Map<string, number>()
let left = Number(process.env['KILL_COUNT'] ?? 1)

export const step = (name: string): void => {
  const count = (counts.get(name) ?? 0) + 1
  counts.set(name, count)
  if (count === 1) process.stdout.write(`step: ${name}\n`)
  if (name === killAt && --left === 0) process.kill(process.pid, 'SIGKILL')
}

/** The same functions, each a step in and a step out. */
export const stepping = <Functions extends object>(name: string, functions: Functions): Functions => {
  const entries = Object.entries(functions).map(([key, value]) => {
    if (typeof value !== 'function') return [key, value]
    const label = `${name}.${key}`
    const call = (...args: unknown[]): unknown => {
      step(`${label} ▸`)
      const result: unknown = value(...args)
      if (!(result instanceof Promise)) {
        step(`${label} ◂`)
        return result
      }
      return result.then((answer: unknown) => {
        step(`${label} ◂`)
        return answer
      })
    }
    return [key, call]
  })
  return Object.fromEntries(entries)
}
