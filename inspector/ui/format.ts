/** How numbers, ages and times are written on the page. */
const counted = new Intl.NumberFormat('en-US')

export const count = (value: number): string => counted.format(value)

/** `0.4`, `12`, `1,204`: per second. */
export const rate = (value: number): string => (value > 0 && value < 9.95 ? value.toFixed(1) : count(Math.round(value)))

/** `340 ms`, `4.2 s`, `12 s`, `3 min`, `2 h 5 min`, `3 d 4 h`. */
export const age = (ms: number): string => {
  if (ms < 0) return '0 s'
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 9_950) return `${trimmed(ms / 1_000)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 100) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return withRest(hours, 'h', minutes % 60, 'min')
  return withRest(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

const trimmed = (value: number): string => value.toFixed(1).replace(/\.0$/, '')

const withRest = (large: number, unit: string, rest: number, restUnit: string): string =>
  rest === 0 ? `${large} ${unit}` : `${large} ${unit} ${rest} ${restUnit}`

const two = (value: number): string => String(value).padStart(2, '0')

/** `02:14:07` in the viewer's time zone. */
export const clock = (at: number): string => {
  const date = new Date(at)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** `02:14:07.123` */
export const clockMs = (at: number): string => `${clock(at)}.${String(new Date(at).getMilliseconds()).padStart(3, '0')}`

/** `02:14:07`, with the day in front when it was not today. */
export const moment = (at: number, now: number): string => {
  const day = new Date(at)
  if (day.toDateString() === new Date(now).toDateString()) return clock(at)
  return `${day.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })} ${clock(at)}`
}

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`

/** camelCase as words: `backingOff` is `backing off`. */
export const words = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

/** `1.2 GB`, `340 MB`. */
export const bytes = (value: number): string =>
  value >= 1e9
    ? `${(value / 1e9).toFixed(1)} GB`
    : value >= 1e6
      ? `${Math.round(value / 1e6)} MB`
      : `${Math.round(value / 1e3)} kB`
