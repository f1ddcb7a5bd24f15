import { ControllerError } from '../../machines/errors.ts'
import { resolveDeployment } from '../config/deployment.ts'
import { createEnvironment, processEnvironment } from '../config/environment.ts'
import { configInvalid } from '../config/problems.ts'
import type { Command } from '../control/command.ts'

/** Speaks with the controller that runs, through its admin port, whose address and token the environment says. */
export interface AdminClient {
  /** Of the admin port: `http://host:port`. */
  readonly base: string
  readonly token: string | undefined
  get<Answer>(path: string, query?: Readonly<Record<string, string | number | undefined>>): Promise<Answer>
  /** @throws ControllerError COMMAND_INVALID, COMMAND_REFUSED, JOURNAL_UNAVAILABLE, NOT_RUNNING, USAGE */
  control<Answer>(command: Command, confirm?: string): Promise<Answer>
}

const withinMs = 10_000

export const createAdminClient = (): AdminClient => {
  const { value, problems } = resolveDeployment(createEnvironment(processEnvironment()), false)
  if (problems.length > 0) throw configInvalid(problems)
  const { host, port, tokens } = value.admin
  const token = tokens.operate ?? tokens.read
  const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  const base = `http://${address}:${port}`

  const ask = async <Answer>(path: string, init: RequestInit): Promise<Answer> => {
    const headers = {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    }
    const response = await fetch(base + path, { ...init, headers, signal: AbortSignal.timeout(withinMs) }).catch(
      (cause: unknown) => {
        throw new ControllerError('NOT_RUNNING', `No controller answers at ${base}; is KOKSMAT_ADMIN_PORT the same?`, {
          cause,
        })
      },
    )
    const answer = await response.json().catch(() => ({}))
    if (response.ok) return answer as Answer
    throw refusalOf(response.status, answer as Refusal)
  }

  return {
    base,
    token,
    get: (path, query = {}) => {
      const given = new URLSearchParams()
      for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value))
      return ask(given.size === 0 ? path : `${path}?${given}`, { method: 'GET' })
    },
    control: (command, confirm) =>
      ask('/control', { method: 'POST', body: JSON.stringify({ ...command, ...(confirm && { confirm }) }) }),
  }
}

interface Refusal {
  readonly title?: string
  readonly detail?: string
}

const refusalOf = (status: number, { title = 'Refused', detail }: Refusal): ControllerError => {
  const message = `The controller says: ${title}${detail === undefined ? '' : `: ${detail}`} (${status}).`
  if (status === 401) return new ControllerError('USAGE', `${message} Set KOKSMAT_INSPECTOR_TOKEN.`)
  if (status === 403) return new ControllerError('COMMAND_REFUSED', `${message} KOKSMAT_INSPECTOR_TOKEN may.`)
  if (status === 409) return new ControllerError('COMMAND_REFUSED', message)
  if (status === 404 || status === 422) return new ControllerError('COMMAND_INVALID', message)
  if (status === 503) return new ControllerError('JOURNAL_UNAVAILABLE', message)
  return new ControllerError('USAGE', message)
}
