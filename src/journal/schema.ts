import { ControllerError } from '../../machines/errors.ts'

/**
 * The names that one journal uses in its database. Everything lives in one schema, so that several journals, and other
 * applications, share a database without seeing each other; channel and advisory locks carry the schema's name.
 */
export interface Names {
  readonly schema: string
  /** The schema as it stands in SQL. */
  readonly quoted: string
  /** NOTIFY channel. A payload is `<ms until due> <queue>`. */
  readonly channel: string
  /** SQL for the advisory lock of an atomic handler; `lock` is an SQL expression. */
  lockKey(lock: string): string
}

const plain = /^[a-z_][a-z0-9_]{0,39}$/

/** @throws ControllerError CONFIG_INVALID for a name that would need quoting. */
export const namesOf = (schema: string): Names => {
  if (!plain.test(schema)) {
    const rule = 'up to 40 lower-case letters, digits and underscores, not beginning with a digit'
    throw new ControllerError('CONFIG_INVALID', `journal.schema: ${JSON.stringify(schema)} must be ${rule}.`)
  }
  return {
    schema,
    quoted: `"${schema}"`,
    channel: `koksmat_${schema}`,
    lockKey: (lock) => `hashtextextended('koksmat:${schema}:' || ${lock}, 0)`,
  }
}

/** A migration file for one schema. */
export const substitute = (names: Names, text: string): string =>
  text.replaceAll(/\$\{schema\}/g, names.quoted).replaceAll(/\$\{channel\}/g, names.channel)
