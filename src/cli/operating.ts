import { Argument, type Command, InvalidArgumentError } from 'commander'
import type { LiveSecret } from '../config/liveSecrets.ts'
import { logLevels } from '../control/command.ts'
import { command, drain, showStatus } from './operate.ts'
import { examples, type Output, usage } from './output.ts'

/** The commands that look at the running controller and steer it, over its admin port. */
export const addOperatingCommands = (program: Command, output: Output): void => {
  program
    .command('status')
    .description('show the running controller and its sources')
    .addHelpText('after', examples('status', 'status --json'))
    .action(() => showStatus(output))

  program
    .command('top')
    .description('watch the running controller: sources, rates, locks, jobs and the drain; q quits')
    .option('--interval <seconds>', 'between two looks, 1 to 60', upTo(60), 1)
    .addHelpText('after', examples('top', 'top --interval 5', 'top --json'))
    .action(async ({ interval }: { interval: number }) => {
      const { top } = await import('./top.ts')
      await top(interval * 1_000, output)
    })

  program
    .command('inspect')
    .description('say where the inspector of the running controller is; or pass it on to that of Stately')
    .option('--stately', 'serve a page on loopback that shows the controller in the inspector of Stately')
    .option('--page <url>', "Stately's inspector", webAddress, 'https://stately.ai/inspect')
    .option('--port <port>', 'of the page on loopback (default: any)', upTo(65_535))
    .addHelpText('after', examples('inspect', 'inspect --stately'))
    .action(async ({ stately, page, port = 0 }: { stately?: true; page: string; port?: number }) => {
      const { inspect } = await import('./inspect.ts')
      await inspect({ ...(stately && { stately }), page, port }, output)
    })

  for (const [name, description, done] of [
    ['pause', 'let a source take nothing new; what it has is handled', 'takes nothing new'],
    ['resume', 'let a paused source go on', 'goes on'],
  ] as const) {
    program
      .command(name)
      .description(description)
      .argument('<source>', 'its name in the configuration')
      .addHelpText('after', examples(`${name} orders`))
      .action((source: string) => command({ name, source }, () => `The source ${source} ${done}.`, output))
  }

  program
    .command('credit')
    .description('change how many events of a source may be in flight, until the restart')
    .argument('<source>', 'its name in the configuration')
    .argument('<events>', '1 to 10,000', upTo(10_000))
    .addHelpText('after', examples('credit orders 100'))
    .action((source: string, events: number) =>
      command<{ before: { events: number } }>(
        { name: 'credit', source, events },
        ({ before }) => `The source ${source} may have ${events} events in flight, not ${before.events} as before.`,
        output,
      ),
    )

  program
    .command('log-level')
    .description('set what the running controller logs, until the restart')
    .addArgument(new Argument('<level>', 'from here on').choices(logLevels))
    .addHelpText('after', examples('log-level debug'))
    .action((level: (typeof logLevels)[number]) =>
      command<{ before: string }>(
        { name: 'logLevel', level },
        ({ before }) => `The log says ${level} and above; it was ${before}.`,
        output,
      ),
    )

  program
    .command('rotate-secret')
    .description('read the secrets of a webhook again from the environment and its files; or add one, or retire one')
    .argument('<source>', 'its name in the configuration')
    .option('--add', 'add the secret that stdin holds, beside those that are live')
    .option('--retire <number>', 'end the one with this number, see status --json', upTo(1_000_000))
    .addHelpText('after', examples('rotate-secret github', 'rotate-secret github --add < new-secret'))
    .action(async (source: string, { add, retire }: { add?: true; retire?: number }) => {
      if (add === true && retire !== undefined) throw usage('Say --add or --retire, not both.')
      const how = add === true ? { add: await readSecret() } : retire === undefined ? {} : { retire }
      await command<{ live: readonly LiveSecret[] }>(
        { name: 'rotateSecret', source, ...how },
        ({ live }) => `Live: ${live.map(({ id, from }) => `${id} (${from})`).join(', ')}.`,
        output,
      )
    })

  program
    .command('drain')
    .description('let the running controller finish what it took, and end')
    .addHelpText('after', examples('drain'))
    .action(() => drain(output))
}

/** From stdin: an argument would be seen by everybody on the machine. */
const readSecret = async (): Promise<string> => {
  if (process.stdin.isTTY) throw usage('Give the secret on stdin: --add < file.')
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk
  return text.replace(/\r?\n$/, '')
}

const upTo =
  (most: number) =>
  (text: string): number => {
    const n = Number(text)
    if (Number.isInteger(n) && n >= 1 && n <= most) return n
    throw new InvalidArgumentError(`Expected a whole number from 1 to ${most.toLocaleString('en')}.`)
  }

const webAddress = (text: string): string => {
  const url = URL.parse(text)
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url.href
  throw new InvalidArgumentError('Expected an address like https://stately.ai/inspect.')
}
