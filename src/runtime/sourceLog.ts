import type { Log } from '../../machines/driver.ts'
import type { SourceMoved } from '../../machines/protocol.ts'

interface Outage {
  readonly code: string
  readonly tries: number
  readonly sinceMs: number
}

/**
 * What the log says of sources: one line for each change, not for each try. While a source is away its tries are only
 * counted, unless the reason becomes another one; when it is back, one line says how many there were and how long it took.
 */
export const createSourceLog = (log: Log, now: () => number) => {
  const outages = new Map<string, Outage>()
  const opened = new Set<string>()

  const backsOff = ({ source, state, error }: SourceMoved): void => {
    const code = error?.code ?? ''
    const { tries, sinceMs, ...last } = outages.get(source) ?? { code: undefined, tries: 0, sinceMs: now() }
    outages.set(source, { code, tries: tries + 1, sinceMs })
    const fields = { source, state, ...(error === undefined ? {} : { code, reason: error.message }) }
    if (last.code === code) log.debug(fields, 'source backs off')
    else log.warn(fields, 'source backs off')
  }

  const isBack = ({ source, state }: SourceMoved): boolean => {
    const outage = outages.get(source)
    if (outage === undefined || state === 'connecting') return false
    outages.delete(source)
    if (!up.has(state)) return false
    opened.add(source)
    log.info({ source, state, tries: outage.tries, downMs: Math.round(now() - outage.sinceMs) }, 'source is back')
    return true
  }

  return (moved: SourceMoved): void => {
    const { source, state } = moved
    if (state === 'backingOff') backsOff(moved)
    else if (isBack(moved)) return
    else if (state === 'stalled') log.warn({ source, state }, 'source moved')
    else if (outages.has(source) || state === 'throttled') log.debug({ source, state }, 'source moved')
    else if (state === 'listening' && opened.has(source)) log.debug({ source, state }, 'source moved')
    else {
      if (state === 'listening') opened.add(source)
      log.info({ source, state }, 'source moved')
    }
  }
}

const up: ReadonlySet<SourceMoved['state']> = new Set(['waiting', 'listening', 'paused'])
