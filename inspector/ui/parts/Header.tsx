import type { JSX } from 'preact'
import { age, bytes, words } from '../format.ts'
import { askDrain } from '../state/commands.ts'
import { helpOpen } from '../state/keyboard.ts'
import { hello, history, knows, link, mayOperate, now, statsTurn, status } from '../state/store.ts'
import { nextTheme, theme } from '../state/theme.ts'

const linkText = {
  connecting: 'connecting',
  live: 'live',
  reconnecting: 'reconnecting',
  locked: 'locked',
  full: 'no room',
} as const

const themeText = { system: '◐', light: '☀', dark: '☾' } as const

export const Header = (): JSX.Element => {
  const state = status.value?.state
  const draining = state === 'draining' || state === 'stopped'
  return (
    <header class="top">
      <h1>{status.value?.name ?? 'controller'}</h1>
      <span class={`chip link-${link.value}`} data-link={link.value}>
        {linkText[link.value]}
      </span>
      {state !== undefined && <span class={`chip state-${state}`}>{words(state)}</span>}
      <Process />
      <span class="grow" />
      {hello.value !== undefined && !mayOperate.value && <span class="chip">read only</span>}
      {knows('drain') && (
        <button type="button" class="danger" disabled={!mayOperate.value || draining} onClick={askDrain}>
          Drain…
        </button>
      )}
      <button type="button" class="icon" title={`Theme: ${theme.value}`} aria-label="Theme" onClick={nextTheme}>
        {themeText[theme.value]}
      </button>
      <button
        type="button"
        class="icon"
        aria-label="Keyboard"
        title="Keyboard"
        onClick={() => {
          helpOpen.value = true
        }}
      >
        ?
      </button>
    </header>
  )
}

const Process = (): JSX.Element | null => {
  statsTurn.value
  const greeting = hello.value
  if (greeting === undefined) return null
  const stats = history.at(-1)
  const started = status.value?.startedAt
  return (
    <span class="process">
      {status.value !== undefined && <span>{status.value.version}</span>}
      <span>pid {greeting.pid}</span>
      {started !== undefined && <span>up {age(now.value - Date.parse(started))}</span>}
      {stats !== undefined && (
        <>
          <span>{Math.round(stats.cpuPercent)} % CPU</span>
          <span>{bytes(stats.rssBytes)}</span>
        </>
      )}
    </span>
  )
}
