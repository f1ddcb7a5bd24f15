import type { Driver } from '../../machines/driver.ts'
import * as drivers from '../../src/runtime/drivers.ts'
import { stepping } from './steps.ts'

/** The drivers, with a step at each call of a link and at each delivery. */
export const { afterJournal, withBuiltIn } = drivers

export const driverOf: typeof drivers.driverOf = (source, parts) => {
  const { kind, connect } = drivers.driverOf(source, parts)
  const { connect: stepped } = stepping(source.driver, {
    connect: async (host: Parameters<Driver['connect']>[0]) => {
      const { deliver } = stepping(source.driver, { deliver: host.deliver })
      const told = Object.create(host, { deliver: { value: deliver } })
      return stepping(source.driver, await connect(told))
    },
  })
  return { kind, connect: stepped }
}
