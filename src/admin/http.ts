import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseJson } from '../../machines/cloudevents.ts'

/** An answer that is not the one hoped for: becomes a problem document (RFC 9457). */
export interface Problem {
  readonly status: number
  readonly title: string
  readonly detail?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Reply {
  readonly status: number
  /** Sent as JSON; a string goes out as `contentType` says. */
  readonly body: unknown
  readonly contentType?: string
}

/** Thrown by whatever finds out; caught once, by the server. */
export class Refused extends Error {
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.title)
    this.problem = problem
  }
}

export const maxBodyBytes = 65_536

/** @throws Refused 413, 415 or 400 */
export const readJson = async (request: IncomingMessage): Promise<unknown> => {
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new Refused({ status: 415, title: 'Unsupported media type', detail: 'Send application/json.' })
  }
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBodyBytes) throw new Refused({ status: 413, title: 'Too large', headers: { connection: 'close' } })
    chunks.push(chunk)
  }
  try {
    return parseJson(Buffer.concat(chunks).toString('utf8'))
  } catch {
    throw new Refused({ status: 400, title: 'Malformed JSON' })
  }
}

export const sendReply = (response: ServerResponse, { status, body, contentType }: Reply): void => {
  const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`
  send(response, status, contentType ?? 'application/json', text)
}

export const sendProblem = (response: ServerResponse, { status, title, detail, headers = {} }: Problem): void => {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  const problem = { type: 'about:blank', title, status, ...(detail === undefined ? {} : { detail }) }
  send(response, status, 'application/problem+json', `${JSON.stringify(problem)}\n`)
}

const send = (response: ServerResponse, status: number, contentType: string, text: string): void => {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(text)
}
