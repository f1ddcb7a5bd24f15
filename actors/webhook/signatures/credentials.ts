import type { Secrets, SignatureScheme } from '../signatures.ts'
import { invalidSecret, refused, requiredHeaders, same, secretBytes } from '../signatures.ts'

/**
 * The schemes that sign nothing: the sender shows a credential in `Authorization`, or none at all. Whoever sees one
 * request can send others, so the transport has to be TLS. They have no delivery id; name one with the option `id`.
 */
/** `Authorization: Bearer <token>`, RFC 6750. */
export const bearer = (tokens: Secrets): SignatureScheme => {
  const known = secretBytes('bearer', tokens).map((bytes) => bytes.toString())
  if (!known.every((token) => tokenGrammar.test(token))) {
    throw invalidSecret('bearer', 'has characters that a bearer token cannot have (RFC 6750, section 2.1)')
  }
  return credential('bearer', 'Bearer', known)
}

/** `Authorization: Basic <base64 of user:password>` in UTF-8, RFC 7617; one user with one or several live passwords. */
export const basic = (passwords: Secrets, { user }: { readonly user: string }): SignatureScheme => {
  if (user.includes(':')) throw invalidSecret('basic', 'stands beside a user name with a colon (RFC 7617, section 2)')
  const known = secretBytes('basic', passwords).map((bytes) => Buffer.from(`${user}:${bytes}`).toString('base64'))
  return credential('basic', 'Basic realm="webhook"', known)
}

/** Takes everything from everybody. For trials, and behind a gateway that has checked the sender. */
export const unsigned = (): SignatureScheme => ({
  name: 'unsigned',
  challenge: 'None',
  verify: () => ({ ok: true }),
  sign: () => ({}),
})

const tokenGrammar = /^[A-Za-z0-9._~+/-]+=*$/
const authorizationGrammar = /^([A-Za-z]+) ([A-Za-z0-9._~+/-]+=*)$/

const credential = (name: 'bearer' | 'basic', challenge: string, known: readonly string[]): SignatureScheme => ({
  name,
  challenge,
  verify(headers) {
    const found = requiredHeaders(headers, ['authorization'])
    if (!found.ok) return found
    const [, scheme, shown] = authorizationGrammar.exec(found.values[0] as string) ?? []
    if (scheme === undefined || shown === undefined || scheme.toLowerCase() !== name) return refused('malformed')
    return known.some((credential) => same(credential, shown)) ? { ok: true } : refused('forged')
  },
  sign: () => ({ authorization: `${name === 'bearer' ? 'Bearer' : 'Basic'} ${known[0]}` }),
})
