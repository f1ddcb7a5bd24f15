import type { ParkedEvent, ParkedFilter, ParkedSummary } from '../../machines/journal.ts'
import type { Command } from '../control/command.ts'
import type { Status } from '../status.ts'
import { createAdminClient } from './adminClient.ts'
import { type Output, table, usage } from './output.ts'

/** The commands that ask the running controller. */

export const showStatus = async (output: Output): Promise<void> => {
  const status = await createAdminClient().get<Status>('/status')
  const rows = Object.entries(status.sources).map(([name, of]) => [
    name,
    of.kind,
    of.state,
    of.accepted,
    of.settled,
    of.inFlight,
    of.parked,
    of.lastError === undefined ? '' : `${of.lastError.code}: ${of.lastError.message}`,
  ])
  const head = ['SOURCE', 'KIND', 'STATE', 'ACCEPTED', 'SETTLED', 'IN FLIGHT', 'PARKED', 'LAST ERROR']
  const { name, version, pid, state, journal, jobs } = status
  const long = jobs.long.length === 0 ? '' : `, ${jobs.long.length} long`
  const work = `${jobs.running} running${long}, ${jobs.waiting} waiting`
  output.result(
    status,
    `${name} ${version} (pid ${pid}) is ${state}; journal ${journal.state}; ${work}\n\n${table(head, rows)}`,
  )
}

/** Gives a command; `text` says what has happened, from what the controller answers. */
export const command = async <Facts>(given: Command, text: (facts: Facts) => string, output: Output): Promise<void> => {
  const facts = await createAdminClient().control<Facts>(given)
  output.result(facts, text(facts))
}

export const drain = async (output: Output): Promise<void> => {
  const answer = await createAdminClient().control({ name: 'drain' }, 'drain')
  output.result(answer, 'The drain has begun; `status` shows how far it is.')
}

export interface Selection extends Partial<Omit<ParkedFilter, 'seqs'>> {
  readonly all?: true
}

export const listEvents = async (
  { source, type, code, limit }: Omit<Selection, 'all'>,
  output: Output,
): Promise<void> => {
  const answer = await createAdminClient().get<{ events: readonly ParkedSummary[] }>('/events', {
    source,
    type,
    code,
    limit,
  })
  const rows = answer.events.map((event) => [
    event.seq,
    event.via,
    event.type,
    event.id,
    event.attempts,
    event.parkedAt,
    `${event.error.code}: ${event.error.message}`,
  ])
  const head = ['SEQ', 'SOURCE', 'TYPE', 'ID', 'ATTEMPTS', 'PARKED AT', 'ERROR']
  output.result(answer.events, rows.length === 0 ? 'No parked events.' : table(head, rows))
}

export const showEvent = async (seq: string, output: Output): Promise<void> => {
  checkSeqs([seq])
  const event = await createAdminClient().get<ParkedEvent>(`/events/${seq}`)
  output.result(event, JSON.stringify(event, undefined, 2))
}

export const changeEvents = async (
  verb: 'redrive' | 'drop',
  seqs: readonly string[],
  selection: Selection,
  output: Output,
): Promise<void> => {
  checkSeqs(seqs)
  const { source, type, code, all } = selection
  if (seqs.length === 0 && source === undefined && type === undefined && code === undefined && all !== true) {
    throw usage('Say which events: their numbers, --source, --type, --code, or --all.')
  }
  const { all: _, limit = 1_000, ...chosen } = selection
  const filter = { ...chosen, limit, ...(seqs.length === 0 ? {} : { seqs }) }
  const answer = await createAdminClient().control<{ count: number }>({ name: verb, filter }, verb)
  const { count } = answer
  const done = verb === 'redrive' ? 'ready again' : 'dropped'
  output.result(answer, `${count} ${count === 1 ? 'event is' : 'events are'} ${done}.`)
}

const checkSeqs = (seqs: readonly string[]): void => {
  const wrong = seqs.find((seq) => !/^\d{1,19}$/.test(seq))
  if (wrong !== undefined) throw usage(`${JSON.stringify(wrong)} is not the number of an event; see \`events list\`.`)
}
