import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { workloads } from '../../bench/workloads.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/performance.md'), 'utf8')

test('the page has what was measured of each workload, and of no other', () => {
  const measured = [...page.matchAll(/^\| `(\w[\w-]*)` \|/gm)].map(([, name]) => name)
  expect(measured).toEqual(workloads.map(({ name }) => name))
})
