import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: readonly string[] }
/** What whoever installs the package has beside the pages; npm always adds the README and the licence. */
const shipped = [...files, 'README.md', 'LICENSE']

/** As GitHub makes them. */
const anchorsOf = (file: string): readonly string[] =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )

test.each(['README.md', ...pages.map((page) => `docs/${page}`)])(
  '%s: every anchor that a link names is there',
  (page) => {
    const links = [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)/g)]
    const lost = links.filter(([, file = '', anchor = '']) => {
      const target = file === '' ? page : normalize(join(dirname(page), file))
      return !existsSync(join(root, target)) || !anchorsOf(target).includes(anchor)
    })
    expect(lost.map(([link]) => link)).toEqual([])
  },
)

test.each(pages)('docs/%s: every link leads to a file that the package holds', (page) => {
  const text = readFileSync(join(root, 'docs', page), 'utf8')
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, link = '']) => normalize(join('docs', link)))
  const lost = links.filter((link) => !shipped.includes(link.split('/')[0] ?? '') || !existsSync(join(root, link)))
  expect(lost).toEqual([])
})

test('docs/code.md: every file and folder that it names is there', () => {
  const text = readFileSync(join(root, 'docs/code.md'), 'utf8')
  const named = [...text.matchAll(/`([\w./-]+\/[\w./-]*)`/g)].map(([, path = '']) => path)
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
  expect(named.length).toBeGreaterThan(30)
})
