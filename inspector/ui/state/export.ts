import type { Entry } from './log.ts'
import { actors } from './store.ts'

/** Saves the entries as JSON lines, oldest first. */
export const exportEntries = (entries: readonly Entry[]): void => {
  const lines = entries.map(({ seq, at, type, sessionId, sourceId, failed, payload, transitions }) =>
    JSON.stringify({
      seq,
      at: new Date(at).toISOString(),
      from: actors.nameOf(sourceId),
      to: actors.nameOf(sessionId),
      type,
      failed,
      payload,
      transitions: transitions.map(({ source, targets, guard, actions }) => ({ source, targets, guard, actions })),
    }),
  )
  const url = URL.createObjectURL(new Blob([`${lines.join('\n')}\n`], { type: 'application/x-ndjson' }))
  const anchor = document.createElement('a')
  anchor.href = url
  anchor.download = `events-${new Date().toISOString().replaceAll(':', '-').slice(0, 19)}.ndjson`
  anchor.click()
  URL.revokeObjectURL(url)
}
