/**
 * What may be shown of a value in messages and logs: never a secret, never the credentials in a URL, and nothing that
 * moves the cursor or begins a new line.
 */

export const hidden = '[redacted]'

const secretName =
  /(secret|passw(or)?d|passphrase|token|authorization|cookie|api[-_]?key|private[-_]?key|credential|signature|connection[-_]?string)/i
// Every repetition is bounded: these run over what strangers sent.
const userInfo = /(\b[a-z][a-z0-9+.-]{0,31}:\/\/)[^\s"<>]{0,1024}@/gi
const bareUserInfo = /(?<![^\s/"'])[^\s:/@"']{1,128}:[^\s/@"']{1,128}@(?=[\w[])/g
const secretParameter =
  /([?&;](?=[\w.-]{0,40}(?:secret|passw(?:or)?d|token|key|signature|auth))[\w.-]{1,64}=)[^&;\s"]*/gi
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it takes out
const escapes = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-_])/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it takes out
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g

/** Whether the value under this name is a secret by its name. */
export const isSecretName = (name: string): boolean => secretName.test(name)

/** A text on one line, without terminal escapes. */
export const oneLine = (text: string): string => text.replace(escapes, '').replace(controls, ' ')

/** A text without credentials: `amqp://user:pass@host` becomes `amqp://[redacted]@host`. */
export const withoutCredentials = (text: string): string =>
  text.replace(userInfo, `$1${hidden}@`).replace(bareUserInfo, `${hidden}@`).replace(secretParameter, `$1${hidden}`)

/** A value as a message shows it; `path` tells whether it is a secret by one of its names. */
export const redact = (value: unknown, path: readonly PropertyKey[] = []): string => {
  if (value === undefined) return 'nothing'
  if (path.some((name) => typeof name === 'string' && isSecretName(name))) return hidden
  if (typeof value === 'string') return JSON.stringify(shortened(oneLine(withoutCredentials(value))))
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

const shortened = (text: string): string => (text.length > 80 ? `${text.slice(0, 79)}…` : text)
