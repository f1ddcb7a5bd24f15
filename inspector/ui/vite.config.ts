import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, type Plugin } from 'vite'

const elk = join(import.meta.dirname, '../../node_modules/elkjs')
const { version } = JSON.parse(readFileSync(join(elk, 'package.json'), 'utf8')) as { version: string }
/** Files below `assets` are cached for ever: another version lies elsewhere. */
const folder = `assets/elk-${version.replaceAll('.', '-')}`

const notice = `elk-worker.min.js is the file of that name of elkjs, as it was published, unmodified.

elkjs is made of the Eclipse Layout Kernel (https://eclipse.dev/elk), Copyright (c) Kiel University and others.
Its source is at https://github.com/kieler/elkjs. It is made available under the terms of the
Eclipse Public License 2.0, which follows; SPDX-License-Identifier: EPL-2.0 OR GPL-3.0-or-later.

`

/** The layout worker goes beside the page as it is, with its licence. */
const layoutWorker: Plugin = {
  name: 'layout-worker',
  generateBundle() {
    this.emitFile({
      type: 'asset',
      fileName: `${folder}/elk-worker.min.js`,
      source: readFileSync(join(elk, 'lib/elk-worker.min.js')),
    })
    this.emitFile({
      type: 'asset',
      fileName: `${folder}/NOTICE.txt`,
      source: notice + readFileSync(join(elk, 'LICENSE.md'), 'utf8'),
    })
  },
}

/** The page as static files. Nothing is inline, so that the page runs under a strict content security policy. */
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  publicDir: false,
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  define: { layoutWorkerFile: JSON.stringify(`${folder}/elk-worker.min.js`) },
  build: {
    outDir: '../../dist/inspector/ui',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  plugins: [layoutWorker],
})
