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
const folders = ['machines', 'actors', 'src', 'test', 'bench', 'examples', 'scripts'].filter((name) => existsSync(name))
const options = await extractOptions(join(import.meta.dirname, '..', '.dependency-cruiser.cjs'))
const { output } = await cruise(folders, options, undefined, { tsConfig: extractTsConfig('tsconfig.json') })
const { summary } = output as ICruiseResult

for (const { rule, from, to, comment } of summary.violations) {
  process.stderr.write(`${from} → ${to}: ${rule.name}. ${comment ?? ''}\n`)
}
process.stdout.write(
  `${summary.totalCruised} modules, ${summary.totalDependenciesCruised ?? 0} imports, ${summary.error} against the rules\n`,
)
process.exitCode = summary.error > 0 || !(summary.totalDependenciesCruised ?? 0) ? 1 : 0
