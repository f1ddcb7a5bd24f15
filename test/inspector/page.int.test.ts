import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { gzipSync } from 'node:zlib'
import { afterEach, expect, it } from 'vitest'
import { counting, inspected, stopAll } from './support.ts'

afterEach(stopAll)

it('the page is built when it is first asked for, open to everybody, its files immutable', async () => {
  const { page } = await inspected(counting(), { token: 'operate-token-of-at-least-32-characters' })
  const [first, second] = await Promise.all([fetch(page), fetch(page)])
  expect([first.status, second.status]).toEqual([200, 200])
  expect(first.headers.get('cache-control')).toBe('no-store')
  expect(first.headers.get('content-security-policy')).toContain("default-src 'none'")
  const html = await first.text()
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|\sstyle=/)
  const [, script] = /src="\.\/(assets\/[^"]+\.js)"/.exec(html) ?? []
  const file = await fetch(page + script)
  expect(file.status).toBe(200)
  expect(file.headers.get('content-type')).toContain('javascript')
  expect(file.headers.get('cache-control')).toContain('immutable')
  await file.arrayBuffer()
})

it('it weighs at most 60 kB gzipped, without the layout worker, which lies unmodified beside its notice', async () => {
  const { page } = await inspected(counting())
  const html = await (await fetch(page)).text()
  const names = [...html.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, name = '']) => name)
  const files = await Promise.all(names.map(async (name) => (await fetch(page + name)).text()))
  const weight = [html, ...files].reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0)
  expect(names.length).toBeGreaterThanOrEqual(3)
  expect(weight).toBeLessThanOrEqual(60_000)

  const [worker = ''] = /assets\/elk-[^/"'`]+\/elk-worker\.min\.js/.exec(files.join()) ?? []
  const published = readFileSync(createRequire(import.meta.url).resolve('elkjs/lib/elk-worker.min.js'), 'utf8')
  expect(await (await fetch(page + worker)).text()).toBe(published)
  expect(await (await fetch(page + worker.replace('elk-worker.min.js', 'NOTICE.txt'))).text()).toContain('EPL-2.0')
})

it('a shorter address leads to it, and nothing beside it is served', async () => {
  const { page } = await inspected(counting())
  expect((await fetch(page.replace(/\/$/, ''), { redirect: 'manual' })).headers.get('location')).toBe('/inspector/')
  expect((await fetch(new URL('/', page), { redirect: 'manual' })).headers.get('location')).toBe('/inspector/')
  for (const path of ['..%2fpackage.json', '%2e%2e/package.json', 'nothing.js', '.stamp', '../../package.json']) {
    expect((await fetch(page + path)).status).toBe(404)
  }
})
