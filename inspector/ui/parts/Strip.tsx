import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import { age, clock } from '../format.ts'
import { search, tab } from '../state/address.ts'
import { command } from '../state/commands.ts'
import { askAll, showParked } from '../state/parked.ts'
import { sourceRate } from '../state/rates.ts'
import { history, knows, link, lostAt, mayOperate, now, selectSource, statsTurn, status } from '../state/store.ts'
import { type Finding, findingsOf, type Press } from '../words.ts'

const mostLines = 4

/** The first thing on the page: what is the matter, in words, with what to press. */
export const Strip = (): JSX.Element => {
  const findings = [...connection(), ...service()]
  const [worst] = findings
  const name = status.value?.name ?? 'controller'
  useEffect(() => {
    document.title = worst === undefined || worst.level === 'good' ? `${name} · inspector` : `${worst.what} · ${name}`
  }, [worst?.what, worst?.level, name])
  const more = findings.length - mostLines
  return (
    <section class="strip" aria-label="What is the matter" aria-live="polite">
      {findings.slice(0, mostLines).map((finding) => (
        <Line key={finding.what} finding={finding} />
      ))}
      {more > 0 && (
        <button
          type="button"
          class="plain more"
          onClick={() => {
            tab.value = 'sources'
          }}
        >
          and {more} more
        </button>
      )}
    </section>
  )
}

const service = (): readonly Finding[] => {
  statsTurn.value
  const current = status.value
  if (current === undefined) return []
  const perSecond = Object.keys(current.sources).reduce((sum, name) => sum + sourceRate(history, name), 0)
  return findingsOf(current, now.value, perSecond)
}

const connection = (): readonly Finding[] => {
  if (link.value === 'live') return []
  if (link.value === 'full') {
    const detail = 'As many people look already as the server allows.'
    return [{ level: 'warn', what: 'No room', detail, presses: [] }]
  }
  if (lostAt.value === undefined) {
    return [{ level: 'info', what: 'Connecting', detail: 'Waiting for the controller to answer.', presses: [] }]
  }
  const lasts = age(Math.max(0, now.value - lostAt.value))
  return [
    {
      level: 'bad',
      what: 'No connection to the controller',
      detail: `since ${clock(lostAt.value)} (${lasts}). What the page shows is from before; it tries again by itself.`,
      advice: 'Unless it is being restarted, see whether its process runs.',
      presses: [],
    },
  ]
}

const signs = { bad: '!', warn: '!', info: 'i', good: '✓' } as const
const levels = { bad: 'Problem', warn: 'Warning', info: 'Note', good: 'Good' } as const

const Line = ({ finding }: { finding: Finding }): JSX.Element => (
  <div class={`finding ${finding.level}`} data-level={finding.level}>
    <span class="sign" role="img" aria-label={levels[finding.level]}>
      {signs[finding.level]}
    </span>
    <p>
      <strong>{finding.what}</strong> {finding.detail}
      {finding.advice !== undefined && <span class="advice"> {finding.advice}</span>}
    </p>
    {finding.presses.length > 0 && (
      <span class="presses">
        {finding.presses.map((press) => (
          <PressButton key={press.kind} press={press} />
        ))}
      </span>
    )}
  </div>
)

const PressButton = ({ press }: { press: Press }): JSX.Element | null => {
  switch (press.kind) {
    case 'pause':
    case 'resume': {
      const { kind, source } = press
      if (!knows(kind)) return null
      const pause = kind === 'pause'
      return (
        <button
          type="button"
          class="primary"
          disabled={!mayOperate.value}
          onClick={() => void command({ name: kind, source }, pause ? `${source} is paused` : `${source} goes on`)}
        >
          {pause ? 'Pause' : 'Resume'} {source}
        </button>
      )
    }
    case 'source':
      return (
        <button type="button" onClick={() => selectSource(press.source)}>
          Show {press.source}
        </button>
      )
    case 'parked':
      return (
        <button type="button" class="primary" onClick={() => showParked(press.source)}>
          Look at them
        </button>
      )
    case 'redrive':
      return knows('redrive') ? (
        <button
          type="button"
          disabled={!mayOperate.value}
          onClick={() => askAll('redrive', press.source === '' ? {} : { source: press.source })}
        >
          Redrive…
        </button>
      ) : null
    case 'event':
      return (
        <button
          type="button"
          onClick={() => {
            search.value = press.id
            tab.value = 'events'
          }}
        >
          Show the event
        </button>
      )
    case 'work':
      return (
        <button
          type="button"
          onClick={() => {
            tab.value = 'work'
          }}
        >
          Jobs and locks
        </button>
      )
  }
}
