import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import { workloads } from '../../bench/workloads.ts'
import { startProcess } from '../support/processDriver.ts'

const bench = join(import.meta.dirname, '../../bench/main.ts')
const env = { DATABASE_URL: inject('databaseUrl') }

test('a workload is measured with the bare client in the same run, and told as JSON', async () => {
  const args = ['tableQueue', '--json', '--rounds', '2', '--events', '300']
  await using child = startProcess([bench, ...args], { env })
  expect(await child.exit, child.output()).toMatchObject({ code: 0 })
  const { results, node } = JSON.parse(child.output())
  expect(node).toBe(process.version)
  const measured = {
    perSecond: expect.any(Number),
    cpuMicrosPerEvent: expect.any(Number),
    peakMegabytes: expect.any(Number),
  }
  expect(results).toMatchObject([
    { workload: 'tableQueue', events: 300, rounds: 2, sides: { controller: measured, bare: measured } },
  ])
  const [{ sides, share, goals }] = results
  expect(share).toBeCloseTo(sides.controller.perSecond / sides.bare.perSecond, 1)
  expect(goals).toContainEqual({ goal: '0.5 × bare', reached: share >= 0.5 })
})

test('a workload that is not there is refused, with those that are', async () => {
  await using child = startProcess([bench, 'controll'])
  expect(await child.exit).toMatchObject({ code: 2 })
  expect(child.output()).toContain('There is no workload controll; there are control, ')
})

test('the help names each workload and has examples', async () => {
  await using child = startProcess([bench, '--help'])
  expect(await child.exit).toMatchObject({ code: 0 })
  const examples = [...child.output().matchAll(/\$ npm run bench(?: -- (.*?))?(?: {2}|$)/gm)]
  expect(examples.length).toBeGreaterThan(3)
  for (const { name } of workloads) expect(child.output()).toContain(`\n  ${name} `)
})

test('a side that cannot run fails the bench', async () => {
  const nowhere = { DATABASE_URL: 'postgres://127.0.0.1:1/none' }
  await using child = startProcess([bench, 'tableQueue', '--json'], { env: nowhere })
  expect(await child.exit).toMatchObject({ code: 1 })
  expect(child.output()).toContain('ECONNREFUSED')
})
