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
  try {
    await watch(screen, first, look, intervalMs)
  } finally {
    screen.close()
  }
}

interface Look {
  readonly status: Status
  readonly at: number
}

const watch = async (screen: Screen, first: Look, look: () => Promise<Look>, intervalMs: number): Promise<void> => {
  let over = false
  const ended = screen.ended.then(() => {
    over = true
  })
  let before = first
  let last = first
  let trouble: Line | undefined
  while (!over) {
    const picture = pictureOf(last.status, ratesBetween(before, last), Date.now())
    screen.paint(trouble === undefined ? picture : [trouble, { text: '' }, ...picture.slice(1)])
    const pause = new AbortController()
    await Promise.race([sleep(intervalMs, undefined, { signal: pause.signal }).catch(() => undefined), ended])
    pause.abort()
    if (over) return
    const seen = await Promise.race([look().catch((thrown: unknown) => thrown), ended])
    if (seen !== undefined && isLook(seen)) {
      before = seen.status.startedAt === last.status.startedAt ? last : seen
      last = seen
      trouble = undefined
    } else trouble = { text: `${toControllerError(seen, 'NOT_RUNNING').message} Trying again; q quits.` }
  }
}

const isLook = (seen: unknown): seen is Look => typeof seen === 'object' && seen !== null && 'status' in seen

const ratesBetween = (before: Look, now: Look) => ratesOf(before.status, now.status, (now.at - before.at) / 1_000)
