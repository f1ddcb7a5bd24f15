import { effect, signal } from '@preact/signals'

const choices = ['system', 'light', 'dark'] as const

export type Theme = (typeof choices)[number]

const stored = 'koksmat.theme'

/** As the system has it, unless one has chosen. */
export const theme = signal<Theme>('system')
/** What is shown now: for what is drawn on a canvas. */
export const dark = signal(false)

export const nextTheme = (): void => {
  theme.value = choices[(choices.indexOf(theme.peek()) + 1) % choices.length] ?? 'system'
}

export const startTheme = (): void => {
  const prefers = window.matchMedia('(prefers-color-scheme: dark)')
  theme.value = choices.find((choice) => choice === localStorage.getItem(stored)) ?? 'system'
  const apply = (): void => {
    dark.value = theme.value === 'dark' || (theme.value === 'system' && prefers.matches)
    document.documentElement.dataset['theme'] = dark.value ? 'dark' : 'light'
    localStorage.setItem(stored, theme.value)
  }
  effect(apply)
  prefers.addEventListener('change', apply)
}
