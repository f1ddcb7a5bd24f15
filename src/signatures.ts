import type { EnvReference } from './define.ts'

/**
 * How a webhook proves who sent it. Each definer takes one secret, or several that are live at the same time while one
 * is being rotated. They only describe: secrets are read, and refused when shorter than 24 bytes, when the controller
 * starts.
 *
 * ```ts
 * github(env('GITHUB_SECRET'))
 * stripe([env('STRIPE_SECRET'), env('STRIPE_SECRET_OLD')])
 * ```
 */
export interface SignatureDefinition {
  readonly scheme:
    | 'standardWebhooks'
    | 'svix'
    | 'github'
    | 'stripe'
    | 'slack'
    | 'shopify'
    | 'hmac'
    | 'bearer'
    | 'basic'
    | 'unsigned'
  readonly secrets: readonly Secret[]
  /** How `hmac` reads the signature, whom `basic` expects. */
  readonly options?: object
}

/** The secret itself, or better `env('NAME')`, which also reads the file that `NAME_FILE` names. */
export type Secret = string | EnvReference

export type Secrets = Secret | readonly Secret[]

/** Where and how a sender without a scheme of its own puts an HMAC of the raw body. */
export interface HmacOptions {
  readonly secret: Secrets
  /** The header that carries the signature, e.g. `x-signature`. */
  readonly header: string
  /** Default `sha256`. */
  readonly algorithm?: 'sha256' | 'sha384' | 'sha512'
  /** Default `hex`. */
  readonly encoding?: 'hex' | 'base64'
  /** What stands before the signature in the header, e.g. `sha256=`. Default: nothing. */
  readonly prefix?: string
}

export interface BasicOptions {
  readonly user: string
  readonly password: Secrets
}

/**
 * Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`. A secret is `whsec_…` (HMAC-SHA256) or a
 * public key `whpk_…` (ed25519). https://www.standardwebhooks.com
 */
export const standardWebhooks = (secret: Secrets): SignatureDefinition => described('standardWebhooks', secret)

/** Svix: Standard Webhooks with headers named `svix-…`. https://docs.svix.com/receiving/verifying-payloads/how-manual */
export const svix = (secret: Secrets): SignatureDefinition => described('svix', secret)

/** GitHub: `X-Hub-Signature-256`; an event's id is `X-GitHub-Delivery`. */
export const github = (secret: Secrets): SignatureDefinition => described('github', secret)

/** Stripe: `Stripe-Signature: t=…,v1=…`. */
export const stripe = (secret: Secrets): SignatureDefinition => described('stripe', secret)

/** Slack: `X-Slack-Signature: v0=…` over the timestamp and the body. */
export const slack = (secret: Secrets): SignatureDefinition => described('slack', secret)

/** Shopify: `X-Shopify-Hmac-Sha256` in base64; an event's id is `X-Shopify-Webhook-Id`. */
export const shopify = (secret: Secrets): SignatureDefinition => described('shopify', secret)

/** An HMAC of the raw body in a header of the sender's choice. It has no timestamp, so it cannot tell a replay. */
export const hmac = ({ secret, ...options }: HmacOptions): SignatureDefinition => described('hmac', secret, options)

/** `Authorization: Bearer <secret>`. Proves the sender, not the body: use it over TLS only. */
export const bearer = (secret: Secrets): SignatureDefinition => described('bearer', secret)

/** `Authorization: Basic …`. Proves the sender, not the body: use it over TLS only. */
export const basic = ({ password, ...options }: BasicOptions): SignatureDefinition =>
  described('basic', password, options)

/** Takes requests from anyone who reaches the port. Only where something in front has checked them already. */
export const unsigned = (): SignatureDefinition => ({ scheme: 'unsigned', secrets: [] })

const described = (scheme: SignatureDefinition['scheme'], secret: Secrets, options?: object): SignatureDefinition => ({
  scheme,
  secrets: Array.isArray(secret) ? secret : [secret as Secret],
  ...(options === undefined ? {} : { options }),
})
