import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: readonly string[] }
/** What whoever installs the package has beside the pages; npm always adds the README and the licence. */
const shipped = [...files, 'README.md', 'LICENSE']

test.each(pages)('docs/%s: every link leads to a file that the package holds', (page) => {
  const text = readFileSync(join(root, 'docs', page), 'utf8')
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, link = '']) => normalize(join('docs', link)))
  const lost = links.filter((link) => !shipped.includes(link.split('/')[0] ?? '') || !existsSync(join(root, link)))
  expect(lost).toEqual([])
})
