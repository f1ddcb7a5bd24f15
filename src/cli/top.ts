import { setTimeout as sleep } from 'node:timers/promises'
import { toControllerError } from '../../machines/errors.ts'
import type { Status } from '../status.ts'
import { createAdminClient } from './adminClient.ts'
import type { Output } from './output.ts'
import { type Line, openScreen, type Screen } from './screen.ts'
import { pictureOf, ratesOf } from './topPicture.ts'

/**
 * The live view of a running controller. On a terminal it takes the whole of it until somebody says stop; elsewhere it
 * prints one picture, whose rates are those of one interval.
 *
 * @throws ControllerError NOT_RUNNING when no controller answers at the begin; later it waits for it to come back
 */
export const top = async (intervalMs: number, output: Output): Promise<void> => {
  const { get } = createAdminClient()
  const look = async (): Promise<Look> => ({ status: await get<Status>('/status'), at: performance.now() })
  const first = await look()
  if (output.json || !process.stdout.isTTY) {
    await sleep(intervalMs)
    const second = await look()
    const rates = ratesBetween(first, second)
    const lines = pictureOf(second.status, rates, Date.now()).map(({ text }) => text)
    output.result({ ...second.status, rates }, lines.join('\n'))
    return
  }
  const screen = openScreen(output)
  const over = new AbortController()
  try {
    await Promise.race([screen.ended, watch(screen, first, look, intervalMs, over.signal)])
  } finally {
    over.abort()
    screen.close()
  }
}

interface Look {
  readonly status: Status
  readonly at: number
}

/** Nothing of a look is kept but the last two: a view may stand open for weeks. */
const watch = async (
  screen: Screen,
  first: Look,
  look: () => Promise<Look>,
  intervalMs: number,
  signal: AbortSignal,
): Promise<void> => {
  let before = first
  let last = first
  let trouble: Line | undefined
  while (!signal.aborted) {
    const picture = pictureOf(last.status, ratesBetween(before, last), Date.now())
    screen.paint(trouble === undefined ? picture : [trouble, { text: '' }, ...picture.slice(1)])
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    const seen = await look().catch((thrown: unknown) => thrown)
    if (isLook(seen)) {
      before = seen.status.startedAt === last.status.startedAt ? last : seen
      last = seen
      trouble = undefined
    } else trouble = { text: `${toControllerError(seen, 'NOT_RUNNING').message} Trying again; q quits.` }
  }
}

const isLook = (seen: unknown): seen is Look => typeof seen === 'object' && seen !== null && 'status' in seen

const ratesBetween = (before: Look, now: Look) => ratesOf(before.status, now.status, (now.at - before.at) / 1_000)
