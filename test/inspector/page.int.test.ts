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

it('a shorter address leads to it, and nothing beside it is served', async () => {
  const { page } = await inspected(counting())
  expect((await fetch(page.replace(/\/$/, ''), { redirect: 'manual' })).headers.get('location')).toBe('/inspector/')
  expect((await fetch(new URL('/', page), { redirect: 'manual' })).headers.get('location')).toBe('/inspector/')
  for (const path of ['..%2fpackage.json', '%2e%2e/package.json', 'nothing.js', '.stamp', '../../package.json']) {
    expect((await fetch(page + path)).status).toBe(404)
  }
})
