import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cruise, type ICruiseResult } from 'dependency-cruiser'
import extractOptions from 'dependency-cruiser/config-utl/extract-depcruise-options'
import extractTsConfig from 'dependency-cruiser/config-utl/extract-ts-config'

/**
 * Checks who imports what, by the rules in `.dependency-cruiser.cjs`, in the working folder.
 *
 * It is a script because the command of dependency-cruiser is content with having read nothing at all.
 */
const folders = ['machines', 'actors', 'src', 'inspector', 'test', 'bench', 'examples', 'scripts'].filter((name) =>
  existsSync(name),
)
const options = await extractOptions(join(import.meta.dirname, '..', '.dependency-cruiser.cjs'))
const { output } = await cruise(folders, options, undefined, { tsConfig: extractTsConfig('tsconfig.json') })
const { modules, summary } = output as ICruiseResult

for (const { rule, from, to } of summary.violations) {
  process.stderr.write(`${from} → ${to}: ${rule.name}\n`)
}
const shipped = modules.filter(({ source }) => /^(machines|actors|src|inspector)\//.test(source))
const read = shipped.reduce((total, { dependencies }) => total + dependencies.length, 0)
process.stdout.write(`${read} imports of ${shipped.length} shipped modules, ${summary.error} against the rules\n`)
process.exitCode = summary.error > 0 || read === 0 ? 1 : 0
