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

/**
 * What a bundler cannot shake off uPlot: curves and bars, logarithmic axes, its own way with dates, its legend, and
 * selecting by dragging. The page draws lines on plain axes, and writes the times itself.
 */
const unused: readonly (readonly [line: string, instead: string])[] = [
  ['uPlot.join = join;', ''],
  ['uPlot.fmtDate = fmtDate;', ''],
  ['uPlot.tzDate  = tzDate;', ''],
  ['(paths.stepped = stepped);', ''],
  ['(paths.bars    = bars);', ''],
  ['(paths.spline  = monotoneCubic);', ''],
  ['= genTimeStuffs(1);', '= [];'],
  ['= genTimeStuffs(1e-3);', '= [];'],
  ['(opts.fmtDate || fmtDate)', 'null'],
  ['(ms == 1 ? timeAxisSplitsMs(_tzDate) : timeAxisSplitsS(_tzDate))', 'null'],
  ['timeAxisVals(_tzDate, timeAxisStamps((ms == 1 ? _timeAxisStampsMs : _timeAxisStampsS), _fmtDate))', 'null'],
  ['timeSeriesVal(_tzDate, timeSeriesStamp(_timeSeriesStamp, _fmtDate))', 'null'],
  ['(isStr(sv) ? timeSeriesVal(_tzDate, timeSeriesStamp(sv, _fmtDate)) : sv || _timeSeriesVal)', 'sv'],
  ['(isTime ? (ms == 1 ? timeIncrsMs : timeIncrsS) : numIncrs)', 'numIncrs'],
  ['timeAxisVals(_tzDate, timeAxisStamps(av, _fmtDate))', 'null'],
  ['timeAxisVal(_tzDate, av)', 'null'],
  [
    '(isTime && sc.distr == 1 ? _timeAxisSplits : sc.distr == 3 ? logAxisSplits : sc.distr == 4 ? asinhAxisSplits : numAxisSplits)',
    'numAxisSplits',
  ],
  [
    'sc.distr >= 3 && sc.log == 10 ? log10AxisValsFilt : sc.distr == 3 && sc.log == 2 ? log2AxisValsFilt : retArg1',
    'retArg1',
  ],
  ['const showLegend = legend.show;', 'const showLegend = false;'],
  ['if (legend.live) {', 'if (false) {'],
  ['if (select.show && dragging) {', 'if (false) {'],
]

const lighterPlot: Plugin = {
  name: 'lighter-plot',
  transform(code, id) {
    if (!id.endsWith('uPlot.esm.js')) return undefined
    return unused.reduce((rest, [line, instead]) => {
      if (!rest.includes(line)) this.error(`uPlot has changed: there is no ${line}`)
      return rest.replace(line, instead)
    }, code)
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
    target: 'es2024',
    cssTarget: ['chrome123', 'firefox125', 'safari18'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  plugins: [lighterPlot, layoutWorker],
})
