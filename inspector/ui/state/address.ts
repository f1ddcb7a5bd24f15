import { effect, signal } from '@preact/signals'

/**
 * What one looks at stands in the address: a link shows somebody else the same. `actor` is the path of ids, the rest
 * are the tab, the filters and the selected event.
 */
export const tabs = ['events', 'sequence', 'sources', 'work', 'parked'] as const

export type Tab = (typeof tabs)[number]

const query = new URLSearchParams(location.search)

export const actorPath = signal(query.get('actor') ?? '')
export const tab = signal<Tab>(tabs.find((name) => name === query.get('tab')) ?? 'events')
export const search = signal(query.get('q') ?? '')
export const failedOnly = signal(query.has('failed'))
export const internal = signal(query.has('internal'))
/** Path of the actor that events are filtered by, with what lives below it. */
export const eventActor = signal(query.get('of') ?? '')
export const selectedSeq = signal<number | undefined>(Number(query.get('event')) || undefined)
export const direction = signal<'DOWN' | 'RIGHT'>(query.get('chart') === 'RIGHT' ? 'RIGHT' : 'DOWN')
/** The statechart over the whole page. */
export const large = signal(query.has('large'))
export const parkedSource = signal(query.get('parked') ?? '')

/** The token of `#token=`, which leaves the address at once. */
export const takeToken = (): string | undefined => {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? undefined
  if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search)
  return token
}

export const keepAddress = (): void => {
  effect(() => {
    const wanted: readonly (readonly [string, string])[] = [
      ['actor', actorPath.value],
      ['tab', tab.value === 'events' ? '' : tab.value],
      ['q', search.value],
      ['of', eventActor.value],
      ['failed', failedOnly.value ? '1' : ''],
      ['internal', internal.value ? '1' : ''],
      ['event', selectedSeq.value === undefined ? '' : String(selectedSeq.value)],
      ['chart', direction.value === 'DOWN' ? '' : direction.value],
      ['large', large.value ? '1' : ''],
      ['parked', parkedSource.value],
    ]
    const next = new URLSearchParams(wanted.filter(([, value]) => value !== '').map(([name, value]) => [name, value]))
    const text = next.toString().replaceAll('%2F', '/').replaceAll('%3A', ':')
    const address = location.pathname + (text === '' ? '' : `?${text}`)
    if (address !== location.pathname + location.search) history.replaceState(null, '', address)
  })
}
