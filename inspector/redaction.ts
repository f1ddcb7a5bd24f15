/**
 * What is a secret, and which characters of a text are one.
 *
 * - by name: a property called `password` and the like, wherever it stands;
 * - by path: `delivery.event.data.card.number`; `*` is any one name, `**` any number of names; arrays are looked through
 *   (`items.card` hides the card of each item);
 * - by what an object is: `secretPathsOf` is asked for each object on the way, for the paths below it that hold secrets.
 *   The controller answers it from the schema of an event's handler.
 */
export interface Redaction {
  readonly paths: readonly string[]
  isSecretName(name: string): boolean
  secretPathsOf?(object: object): readonly string[] | undefined
  scrub(text: string): string
}

export interface RedactionOptions {
  readonly paths?: readonly string[]
  /** Names of secrets (default: secret, password, token, authorization, cookie, api key, credential, signature …). */
  readonly names?: RegExp
  /** Paths below an object that hold secrets, by what it is: an event with a known schema, for one. */
  readonly secretPathsOf?: (object: object) => readonly string[] | undefined
  /** Takes the secrets out of a text (default: the credentials of URLs). It has at most 16 kB. */
  readonly scrub?: (text: string) => string
}

const secretNames =
  /secret|passw(or)?d|passphrase|token|authorization|cookie|api[-_]?key|private[-_]?key|credential|signature|connection[-_]?string/i
const userInfo = /(\b[a-z][a-z0-9+.-]{0,31}:\/\/)[^\s"<>]{0,1024}@/gi
const mostNames = 10_000

export const createRedaction = (options: RedactionOptions = {}): Redaction => {
  const { paths = [], names = secretNames, secretPathsOf, scrub = withoutUserInfo } = options
  const known = new Map<string, boolean>()
  return {
    paths,
    ...(secretPathsOf === undefined ? {} : { secretPathsOf }),
    isSecretName: (name) => {
      const before = known.get(name)
      if (before !== undefined) return before
      names.lastIndex = 0
      const secret = names.test(name)
      if (known.size < mostNames) known.set(name, secret)
      return secret
    },
    scrub,
  }
}

const withoutUserInfo = (text: string): string =>
  text.includes('://') ? text.replace(userInfo, '$1[redacted]@') : text

/** Where in a value we are, seen from the paths that hide something: those that can still match, with what is left of each. */
export interface Trail {
  /** What stands here is hidden. */
  readonly ends: boolean
  below(name: string): Trail
  with(paths: readonly string[]): Trail
}

export const trailOf = (paths: readonly string[]): Trail => trail(paths.map((path) => path.split('.')))

const trail = (rests: readonly (readonly string[])[]): Trail => ({
  ends: rests.some((rest) => rest.length === 0),
  below: (name) => (rests.length === 0 ? nowhere : trail(rests.flatMap((rest) => advanced(rest, name)))),
  with: (paths) => trail([...rests, ...paths.map((path) => path.split('.'))]),
})

const nowhere: Trail = {
  ends: false,
  below: () => nowhere,
  with: trailOf,
}

const advanced = (rest: readonly string[], name: string): (readonly string[])[] => {
  const [first, ...others] = rest
  if (first === '**') return [rest, ...advanced(others, name)]
  return first === '*' || first === name ? [others] : []
}
