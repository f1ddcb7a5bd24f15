import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { ControllerError } from '../../machines/errors.ts'
import { processEnvironment } from '../config/environment.ts'
import { loadDefinition } from '../config/load.ts'
import { resolveConfig } from '../config/resolve.ts'
import type { ResolvedConfig } from '../config/resolved.ts'
import { version } from '../version.ts'
import { init } from './init.ts'
import { checkNode } from './nodeVersion.ts'
import { changeEvents, listEvents, type Selection, showEvent } from './operate.ts'
import { addOperatingCommands } from './operating.ts'
import { createOutput, examples, exitCodeOf, exitCodes, type Output, usage } from './output.ts'
import type { SendOptions } from './send.ts'

/**
 * The command line. Resolves with the exit code:
 *
 * - 0: done
 * - 1: failed
 * - 2: a wrong command line or configuration; nothing was begun
 * - 3: the controller had to abort: something was not settled in time
 * - 4: no controller answers
 */
export const runCli = async (argv: readonly string[]): Promise<number> => {
  const output = createOutput(argv.includes('--json'))
  let exitCode: number = exitCodes.ok
  const program = createProgram(output, (code) => {
    exitCode = code
  })
  try {
    checkNode(process.versions.node)
    if (argv.length === 0) throw usage(`Say which command.\n\n${program.helpInformation()}`)
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return exitCodes.ok
    const error = errorOf(thrown)
    output.error(error)
    return exitCodeOf(error)
  } finally {
    await output.flush()
  }
}

const errorOf = (thrown: unknown): ControllerError => {
  if (thrown instanceof ControllerError) return thrown
  if (thrown instanceof CommanderError) {
    const message = thrown.code === 'commander.help' ? 'Say which command; see --help.' : thrown.message
    return usage(message.replace(/^error: /, ''))
  }
  // Whatever has no code is a defect of ours: its stack is what a report of it needs.
  throw thrown
}

const createProgram = (output: Output, exitWith: (code: number) => void): Command => {
  const program = new Command('koksmat-controller')
    .description('A workflow controller: queues, database triggers and webhooks through one control channel.')
    .version(version, '-V, --version')
    .option('--json', 'print one JSON value, errors too')
    .exitOverride()
    .configureOutput({ writeOut: (text) => output.raw(text), writeErr: () => undefined })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', `\nExit codes: 0 done, 1 failed, 2 usage or configuration, 3 aborted, 4 not running`)

  program
    .command('start [config]')
    .description('run the controller until SIGTERM or SIGINT, then drain')
    .option('--watch', 'drain and start again when a file beside the configuration changes; for development')
    .addHelpText('after', examples('start', 'start services/orders/controller.config.ts', 'start --watch'))
    .action(async (config: string | undefined, { watch }: { watch?: true }) => {
      if (watch === true) {
        const { watchAndRestart } = await import('./watch.ts')
        exitWith(await watchAndRestart(config))
        return
      }
      const { start } = await import('./start.ts')
      exitWith(await start(config))
    })

  program
    .command('replay <file>')
    .description('step through a dump of the flight recorder, without broker or database')
    .addHelpText('after', examples('replay flight.json', 'replay flight.json --json'))
    .action(async (file: string) => {
      const { replay, textOf } = await import('./replay.ts')
      const steps = replay(file)
      output.result(steps, textOf(steps))
    })

  program
    .command('check [config]')
    .description('check the configuration and the environment; starts nothing')
    .option('--matrix', 'print instead what each state of the machines answers to each event')
    .addHelpText('after', examples('check', 'check --json', 'check --matrix'))
    .action(async (path: string | undefined, { matrix }: { matrix?: true }) => {
      if (matrix === true) {
        const { showMatrix } = await import('./matrix.ts')
        exitWith(showMatrix(output))
        return
      }
      const { sources, handlers } = await configOf(path)
      const kinds = Object.fromEntries(Object.entries(sources).map(([name, { driver }]) => [name, driver]))
      const types = handlers.map(({ type }) => type)
      const text = `The configuration is fine: ${Object.keys(kinds).length} sources, ${types.length} handlers.`
      output.result({ ok: true, sources: kinds, handlers: types }, text)
    })

  program
    .command('init [folder]')
    .description('write a first configuration and a handler; overwrites nothing')
    .addHelpText('after', examples('init', 'init my-service'))
    .action((folder = '.') => {
      const done = init(folder)
      const lines = [...done.written.map((name) => `wrote ${name}`), ...done.kept.map((name) => `kept  ${name}`)]
      output.result(done, [...lines, '', 'Next: koksmat-controller start'].join('\n'))
    })

  addOperatingCommands(program, output)
  addEventCommands(program, output)

  program
    .command('send')
    .description("send an event through a source's real entrance")
    .argument('<source>', 'its name in the configuration')
    .argument('<json>', 'the data of the event')
    .option('--type <type>', 'type of the event')
    .option('--key <key>', 'events with the same key stay in order')
    .option('--id <id>', 'id of the event (default: a new one)')
    .option('--header <name: value...>', 'for a webhook: further headers')
    .option('--config <file>', 'the configuration (default: that of the working folder)')
    .addHelpText(
      'after',
      examples(`send orders '{"order": 1}' --type order.created`, `send github '{}' --header 'x-github-event: push'`),
    )
    .action(async (source: string, json: string, { config, ...options }: SendOptions & { config?: string }) => {
      const { send } = await import('./send.ts')
      const sent = await send(await configOf(config), source, json, options)
      output.result(sent, `Sent${sent.id === undefined ? '' : ` ${sent.id}`} to ${sent.to}.`)
    })

  program
    .command('migrate')
    .description("bring the journal's schema up to date")
    .option('--print', 'print the SQL instead, to be run by hand')
    .option('--config <file>', 'the configuration (default: that of the working folder)')
    .addHelpText('after', examples('migrate', 'migrate --print > journal.sql'))
    .action(async ({ print, config }: { print?: true; config?: string }) => {
      const { migrateJournal } = await import('./migrate.ts')
      await migrateJournal(await configOf(config), print === true, output)
    })

  program
    .command('graph')
    .description('draw the machines of the running controller, what is active standing out; else those of the file')
    .addOption(new Option('--format <format>', 'how').choices(['mermaid', 'json']).default('mermaid'))
    .option('--config <file>', 'the configuration, where no controller runs (default: that of the working folder)')
    .addHelpText('after', examples('graph > machines.mmd', 'graph --format json'))
    .action(async ({ format, config }: { format: string; config?: string }) => {
      const { showGraph } = await import('./graph.ts')
      await showGraph(format, config, output)
    })

  return program
}

const addEventCommands = (program: Command, output: Output): void => {
  const events = program.command('events').description('look at parked events, and try them again or drop them')
  const selecting = (command: Command): Command =>
    command
      .option('--source <name>', 'of this source')
      .option('--type <type>', 'of this type')
      .option('--code <code>', 'whose last error has this code')
      .option('--limit <n>', 'at most so many, 1 to 1,000', upToThousand)

  selecting(events.command('list').description('list parked events, oldest first'))
    .addHelpText('after', examples('events list', 'events list --source orders --code HANDLER_FAILED --json'))
    .action((selection: Selection) => listEvents(selection, output))

  events
    .command('show <seq>')
    .description('show one with its payload and all its failures')
    .addHelpText('after', examples('events show 42'))
    .action((seq: string) => showEvent(seq, output))

  selecting(events.command('redrive [seqs...]').description('make them ready again, with all their attempts'))
    .option('--all', 'all of them')
    .addHelpText('after', examples('events redrive 42 43', 'events redrive --type order.created --limit 100'))
    .action((seqs: string[], selection: Selection) => changeEvents('redrive', seqs, selection, output))

  selecting(events.command('drop [seqs...]').description('delete them for good'))
    .option('--all', 'all of them')
    .option('--yes', 'yes, delete')
    .addHelpText('after', examples('events drop 42 --yes', 'events drop --code EVENT_UNHANDLED --yes'))
    .action((seqs: string[], { yes, ...selection }: Selection & { yes?: true }) => {
      if (yes !== true) throw usage('Dropped events are gone for good; say --yes.')
      return changeEvents('drop', seqs, selection, output)
    })
}

const configOf = async (path: string | undefined): Promise<ResolvedConfig> => {
  const { definition, folder } = await loadDefinition(path)
  return resolveConfig(definition, processEnvironment(), { folder })
}

const upToThousand = (text: string): number => {
  const n = Number(text)
  if (Number.isInteger(n) && n >= 1 && n <= 1_000) return n
  throw new InvalidArgumentError('Expected a whole number from 1 to 1,000.')
}
