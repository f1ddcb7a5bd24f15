/**
 * Every process that the tests start is told secrets in its environment: passwords in addresses, tokens, webhook secrets.
 * What it wrote, its dumps included, is searched for them when it has ended; so is what the controllers of `createWorld`
 * show at their admin port and leave in the journal.
 */
const leaks = new Set<string>()

export const searchForSecrets = (env: Readonly<Record<string, string | undefined>>, text: string): void => {
  for (const [name, value = ''] of Object.entries(env)) {
    for (const secret of secretsIn(name, value)) if (text.includes(secret)) leaks.add(name)
  }
}

const shortest = 12

const secretsIn = (name: string, value: string): readonly string[] => {
  const given = /SECRET|TOKEN|PASSWORD/.test(name) ? value.split(',') : [passwordOf(value)]
  return given.filter((secret) => secret.length >= shortest)
}

const passwordOf = (address: string): string =>
  URL.canParse(address) ? decodeURIComponent(new URL(address).password) : ''

/** The names of the variables whose secrets were written so far. */
export const leakedSecrets = (): readonly string[] => [...leaks]
