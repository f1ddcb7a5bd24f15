import { ControllerError } from '../../machines/errors.ts'

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const grammar = /^(\d{1,15}(?:\.\d{1,6})?)(ms|s|m|h|d)$/
const longestMs = 366 * 86_400_000

export const durationForms: string = "a duration such as '500ms', '5s', '10m', '24h' or '7d'"

/**
 * A duration in whole milliseconds. A number needs its unit: `5` alone is not a duration.
 * @throws ControllerError CONFIG_INVALID for another form, or for more than a year.
 */
export const parseDuration = (text: string): number => {
  const [, amount, unit] = grammar.exec(text) ?? []
  const ms = Math.round(Number(amount) * (units[unit ?? ''] ?? Number.NaN))
  if (ms <= longestMs) return ms
  const problem = Number.isNaN(ms) ? 'is not a duration' : 'is longer than a year'
  throw new ControllerError('CONFIG_INVALID', `${JSON.stringify(text)} ${problem}; expected ${durationForms}.`)
}

/** The shortest exact form, for messages and logs. */
export const formatDuration = (ms: number): string => {
  const unit = ['d', 'h', 'm', 's'].find((name) => ms > 0 && ms % (units[name] ?? 1) === 0) ?? 'ms'
  return `${ms / (units[unit] ?? 1)}${unit}`
}
