import { z } from 'zod'
import { basic, bearer, unsigned } from '../../actors/webhook/signatures/credentials.ts'
import { github, hmac, shopify, slack, stripe } from '../../actors/webhook/signatures/hmac.ts'
import { standardWebhooks, svix } from '../../actors/webhook/signatures/standardWebhooks.ts'
import type { SignatureScheme } from '../../actors/webhook/signatures.ts'
import { ControllerError } from '../../machines/errors.ts'
import type { SignatureDefinition } from '../signatures.ts'
import type { Environment } from './environment.ts'
import { type Field, found, isPlainObject, oneOf, part, refuse, shape, text } from './fields.ts'
import { type LiveSignature, liveSignature, type ReadSecret } from './liveSecrets.ts'
import { hidden } from './redact.ts'
import { secret } from './references.ts'

type Build = (secrets: readonly string[]) => SignatureScheme

const expected = "a signature such as github(env('GITHUB_SECRET')), or unsigned() where anybody may call"

/** A described signature, its secrets read, as the scheme that verifies it. */
export const signature = (environment: Environment): Field<LiveSignature> =>
  z.unknown().transform((value, context): LiveSignature => {
    if (!isSignature(value)) return refuse(context, found(value), expected, hidden)
    const build = part(builders[value.scheme], value.options ?? {}, context)
    if (context.issues.length > 0) return z.NEVER
    const secrets = value.secrets.map((each) => usableSecret(environment, build, each, context))
    if (context.issues.length > 0) return z.NEVER
    return secrets.length === 0
      ? { scheme: build([]) }
      : liveSignature(build, () => readAll(environment, value.secrets))
  })

/** @throws ControllerError COMMAND_REFUSED when one of them is not there any more */
const readAll = (environment: Environment, described: readonly unknown[]): readonly ReadSecret[] =>
  described.map((each) => {
    const read = secret(environment).safeParse(each)
    const from = isPlainObject(each) ? String(each['env']) : 'configuration'
    if (read.success) return { value: read.data, from }
    throw new ControllerError('COMMAND_REFUSED', `The secret ${from} could not be read; all stay as they are.`)
  })

/** Each secret is tried alone, so that every bad one is told. */
const usableSecret = (
  environment: Environment,
  build: Build,
  described: unknown,
  context: z.core.$RefinementCtx,
): string => {
  const before = context.issues.length
  const read = part(secret(environment), described, context)
  if (context.issues.length > before) return z.NEVER
  try {
    build([read])
    return read
  } catch (thrown) {
    if (!(thrown instanceof ControllerError)) throw thrown
    const variable = isPlainObject(described) ? String(described['env']) : hidden
    return refuse(context, thrown.message.replace(/\.$/, ''), 'a secret that fits the scheme', variable)
  }
}

/** Reads the options of a scheme; what is left to give are the secrets. */
const builders: Readonly<Record<SignatureDefinition['scheme'], Field<Build>>> = {
  standardWebhooks: shape({}).transform((): Build => standardWebhooks),
  svix: shape({}).transform((): Build => svix),
  github: shape({}).transform((): Build => github),
  stripe: shape({}).transform((): Build => stripe),
  slack: shape({}).transform((): Build => slack),
  shopify: shape({}).transform((): Build => shopify),
  bearer: shape({}).transform((): Build => bearer),
  unsigned: shape({}).transform((): Build => unsigned),
  hmac: shape({
    header: text('the name of a header', /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/),
    algorithm: oneOf('sha256', 'sha384', 'sha512').exactOptional(),
    encoding: oneOf('hex', 'base64').exactOptional(),
    prefix: text('what stands before the signature').exactOptional(),
  }).transform(
    (options): Build =>
      (secrets) =>
        hmac(secrets, options),
  ),
  basic: shape({ user: text('a user name without a colon', /^[^:\s]+$/) }).transform(
    (options): Build =>
      (secrets) =>
        basic(secrets, options),
  ),
}

const isSignature = (value: unknown): value is SignatureDefinition =>
  isPlainObject(value) &&
  typeof value['scheme'] === 'string' &&
  Object.hasOwn(builders, value['scheme']) &&
  Array.isArray(value['secrets']) &&
  (value['secrets'].length > 0 || value['scheme'] === 'unsigned')
