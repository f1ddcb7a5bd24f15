import type { WebhookOptions } from '../../actors/webhook.ts'
import type { Environment } from './environment.ts'
import { duration, type Field, oneOf, shape, text, whole } from './fields.ts'
import type { ResolvedSource } from './resolved.ts'
import { signature } from './signature.ts'
import { creditFields, creditOf, eventTypeOr, headerName, MiB } from './sourceFields.ts'

/** The options of `webhook`, with their defaults. */

const path = text("a path such as '/hooks/github', without parameters", /^\/[\w.~-]+(?:\/[\w.~-]+)*$/)

type Teller = Extract<WebhookOptions['type'], (...given: never[]) => unknown>

export const webhookSource = (environment: Environment): Field<ResolvedSource> =>
  shape({
    ...creditFields,
    path,
    signature: signature(environment),
    type: eventTypeOr<Teller>(),
    method: oneOf('POST', 'PUT').default('POST'),
    reply: oneOf('accepted', 'settled').default('accepted'),
    maxBodyBytes: whole(1, 64 * MiB).default(MiB),
    timeout: duration('100ms', '5m').default(10_000),
    rate: shape({ perSecond: whole(1, 100_000), burst: whole(1, 1_000_000).exactOptional() }).exactOptional(),
    id: headerName.exactOptional(),
  }).transform((given): ResolvedSource => {
    const { path, signature: signed, type, method, reply, maxBodyBytes, rate, id } = given
    const options: WebhookOptions = {
      path,
      signature: signed.scheme,
      type,
      method,
      reply,
      maxBodyBytes,
      timeoutMs: given.timeout,
      ...(rate === undefined ? {} : { rate: { perSecond: rate.perSecond, burst: rate.burst ?? rate.perSecond } }),
      ...(id === undefined ? {} : { id: id.toLowerCase() }),
    }
    const { secrets } = signed
    const live = secrets === undefined ? {} : { secrets }
    return { driver: 'webhook', kind: 'webhook', credit: creditOf(given), options, ...live }
  })
