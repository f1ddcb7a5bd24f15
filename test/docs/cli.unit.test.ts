import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { runCli } from '../../src/cli/program.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/cli.md'), 'utf8')

const helpOf = async (...command: readonly string[]): Promise<string> => {
  let help = ''
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text, ...rest: unknown[]) => {
    help += text
    const written = rest.at(-1)
    if (typeof written === 'function') written()
    return true
  })
  const code = await runCli([...command, '--help'])
  write.mockRestore()
  expect(code).toBe(0)
  return help
}

/** The commands of a help text, without `help` itself. */
const commandsOf = (help: string): readonly string[] =>
  [...(help.split('\nCommands:\n')[1] ?? '').matchAll(/^ {2}([a-z-]+)/gm)]
    .map(([, name]) => name ?? '')
    .filter(isNoHelp)
const isNoHelp = (name: string): boolean => name !== 'help'

/** Command and text of each row of the page's table. */
const rows = [...page.matchAll(/^\| `([a-z-]+(?: [a-z]+)?)(?:[^`]*)` \| (.*) \|$/gm)].map(
  ([, command = '', text = '']) => [command, text] as const,
)

test('the page has every command, and no other', async () => {
  const there = commandsOf(await helpOf())
  const events = commandsOf(await helpOf('events')).map((name) => `events ${name}`)
  const all = [...there.filter((name) => name !== 'events'), ...events]
  expect(rows.map(([command]) => command).sort()).toEqual(all.sort())
})

test.each(rows)(
  '%s: the options that the page names are options of it, and its help has examples',
  async (command, text) => {
    const help = await helpOf(...command.split(' '))
    const named = [...text.matchAll(/--[a-z]+/g)].map(([option]) => option)
    expect(named.filter((option) => !help.includes(`${option} `))).toEqual([])
    const examples = [...help.matchAll(/\$ koksmat-controller (.*)/g)].map(([, line]) => line)
    expect(examples.length).toBeGreaterThan(0)
    expect(examples.filter((line) => !line?.startsWith(command))).toEqual([])
  },
)
