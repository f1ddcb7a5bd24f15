import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const dockerfile = read('Dockerfile')

test('the image has the Node that the tests run on', () => {
  const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> }
  const bases = [...dockerfile.matchAll(/^FROM node:([\d.]+)-/gm)].map(([, version]) => version)
  expect(bases).toEqual([devDependencies['node'], devDependencies['node']])
})

test('Node is process 1 of the image, and an ordinary user runs it', () => {
  const last = dockerfile.slice(dockerfile.lastIndexOf('FROM '))
  expect(last).toMatch(/^ENTRYPOINT \["node", "\/app\/dist\/src\/main.js"\]$/m)
  expect(last).toMatch(/^USER node$/m)
})

test('a drain in the container ends before it is killed', () => {
  const seconds = Number(/stop_grace_period: (\d+)s/.exec(read('compose.yaml'))?.[1])
  expect(seconds).toBeGreaterThan(25)
})
