import { computed } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { Json } from '../../protocol/actors.ts'
import type { ParkedEventView, ParkedView } from '../../protocol/parked.ts'
import { age, count, moment } from '../format.ts'
import { parkedSource } from '../state/address.ts'
import { command, notify } from '../state/commands.ts'
import {
  askAll,
  askDrop,
  decide,
  editing,
  marked,
  opened,
  openParked,
  parked,
  parkedCode,
  parkedFilter,
  parkedProblem,
  parkedType,
  readParked,
} from '../state/parked.ts'
import { knows, mayOperate, now, status } from '../state/store.ts'
import { JsonTree } from './JsonTree.tsx'

/** How many are parked by the second-hand count: when it changes the list is read again. */
const total = computed(() => Object.values(status.value?.sources ?? {}).reduce((sum, { parked: n }) => sum + n, 0))

export const ParkedTab = (): JSX.Element => {
  const there = total.value
  useEffect(() => {
    void readParked()
  }, [there, parkedSource.value, parkedType.value, parkedCode.value])

  const list = parked.value?.events
  return (
    <>
      <Toolbar />
      {parkedProblem.value !== '' && (
        <p class="problem" role="alert">
          {parkedProblem.value}
        </p>
      )}
      {list?.length === 0 && <None />}
      {list !== undefined && list.length > 0 && (
        <div class="parked-panes">
          <ul class="scroll" aria-label="Parked events" tabIndex={0}>
            {list.map((event) => (
              <Row key={event.seq} event={event} />
            ))}
          </ul>
          <div class="scroll detail" role="region" aria-label="The event" tabIndex={0}>
            {opened.value === undefined ? (
              <p class="empty">Choose an event to see its error, its payload and its attempts.</p>
            ) : (
              <Detail event={opened.value} />
            )}
          </div>
        </div>
      )}
    </>
  )
}

const None = (): JSX.Element => {
  const some = Object.values(parked.value?.counts ?? {}).some((each) => each > 0)
  return (
    <div class="empty">
      <p>{some ? 'No parked event matches.' : 'Nothing is parked.'}</p>
      <p class="faint">An event whose attempts are used up is put here with its errors, until somebody decides.</p>
    </div>
  )
}

const Toolbar = (): JSX.Element => {
  const list = parked.value
  const chosen = [...marked.value]
  const may = mayOperate.value
  return (
    <div class="toolbar">
      <Choice label="Source" chosen={parkedSource} among={Object.keys(list?.counts ?? {})} all="all sources" />
      <Choice label="Type" chosen={parkedType} among={list?.events.map(({ type }) => type) ?? []} all="all types" />
      <Choice
        label="Error"
        chosen={parkedCode}
        among={list?.events.map(({ error }) => error.code) ?? []}
        all="all errors"
      />
      <span class="grow" />
      {knows('redrive') && (
        <button
          type="button"
          class="primary small"
          disabled={!may || chosen.length === 0}
          onClick={() => void decide('redrive', chosen)}
        >
          Redrive {chosen.length > 0 ? count(chosen.length) : 'selected'}
        </button>
      )}
      {knows('drop') && (
        <button type="button" class="small" disabled={!may || chosen.length === 0} onClick={() => askDrop(chosen)}>
          Drop
        </button>
      )}
      {knows('redrive') && (
        <button
          type="button"
          class="small"
          disabled={!may || list === undefined || list.events.length === 0}
          onClick={() => askAll('redrive', parkedFilter())}
        >
          Redrive all…
        </button>
      )}
      {knows('drop') && (
        <button
          type="button"
          class="small danger"
          disabled={!may || list === undefined || list.events.length === 0}
          onClick={() => askAll('drop', parkedFilter())}
        >
          Drop all…
        </button>
      )}
    </div>
  )
}

const Choice = (props: {
  label: string
  chosen: { value: string }
  among: readonly string[]
  all: string
}): JSX.Element => {
  const { label, chosen, all } = props
  const choices = new Set([...props.among, ...(chosen.value === '' ? [] : [chosen.value])])
  return (
    <select
      aria-label={label}
      value={chosen.value}
      onChange={({ currentTarget }) => {
        chosen.value = currentTarget.value
      }}
    >
      <option value="">{all}</option>
      {[...choices].toSorted().map((choice) => (
        <option key={choice} value={choice}>
          {choice}
        </option>
      ))}
    </select>
  )
}

const Row = ({ event }: { event: ParkedView }): JSX.Element => {
  const { seq, id, type, via, attempts, parkedAt, error } = event
  const isOpen = opened.value?.seq === seq
  return (
    <li class={isOpen ? 'parked-row selected' : 'parked-row'} data-parked={id}>
      <input
        type="checkbox"
        aria-label={`Select ${id}`}
        checked={marked.value.has(seq)}
        onChange={() => {
          const next = new Set(marked.value)
          if (!next.delete(seq)) next.add(seq)
          marked.value = next
        }}
      />
      <button type="button" class="plain" aria-current={isOpen} onClick={() => void openParked(seq)}>
        <span class="row">
          <b>{type}</b> <code>{id}</code>
          <span class="grow" />
          <span class="faint">{age(now.value - Date.parse(parkedAt))} ago</span>
        </span>
        <span class="error">
          {error.code}: {error.message}
        </span>
        <span class="faint">
          {via} · {attempts} attempts
        </span>
      </button>
    </li>
  )
}

const Detail = ({ event }: { event: ParkedEventView }): JSX.Element => {
  const may = mayOperate.value
  const last = event.history.at(-1)
  return (
    <article data-opened={event.id}>
      <div class="row">
        <h3>
          {event.type} <code>{event.id}</code>
        </h3>
        <span class="grow" />
        {knows('redrive') && (
          <button
            type="button"
            class="primary small"
            disabled={!may}
            onClick={() => void decide('redrive', [event.seq])}
          >
            Redrive
          </button>
        )}
        {knows('editAndRedrive') && event.rawBytes === undefined && (
          <button
            type="button"
            class="small"
            disabled={!may}
            onClick={() => {
              editing.value = JSON.stringify(dataOf(event), null, 2)
            }}
          >
            Edit…
          </button>
        )}
        {knows('drop') && (
          <button type="button" class="small danger" disabled={!may} onClick={() => askDrop([event.seq])}>
            Drop
          </button>
        )}
      </div>
      <p class="error">
        <b>{event.error.code}</b> {event.error.message}
      </p>
      {editing.value === undefined ? <Payload event={event} /> : <Editor event={event} text={editing.value} />}
      <h4>Attempts</h4>
      <ol class="attempts">
        {event.history.map(({ attempt, at, codeVersion, error }) => (
          <li key={`${attempt} ${at}`}>
            <span class="faint">
              {moment(Date.parse(at), now.value)} · {codeVersion}
            </span>{' '}
            {error.name}: {error.message}
          </li>
        ))}
      </ol>
      {last?.error.stack !== undefined && (
        <details>
          <summary>Stack of the last one</summary>
          <pre>{last.error.stack}</pre>
        </details>
      )}
    </article>
  )
}

const dataOf = ({ event }: ParkedEventView): Json =>
  typeof event === 'object' && event !== null && 'data' in event ? event.data : null

const Payload = ({ event }: { event: ParkedEventView }): JSX.Element => (
  <>
    <h4>Payload</h4>
    {event.rawBytes === undefined ? (
      <>
        <JsonTree value={dataOf(event)} />
        <details>
          <summary>Whole event</summary>
          <JsonTree value={event.event} />
        </details>
      </>
    ) : (
      <p class="faint">
        Its {count(event.rawBytes)} bytes could not be read; they are at <code>/events/{event.seq}</code> of the admin
        port.
      </p>
    )}
  </>
)

const Editor = ({ event, text }: { event: ParkedEventView; text: string }): JSX.Element => {
  const close = (): void => {
    editing.value = undefined
  }
  const save = async (): Promise<void> => {
    let data: unknown
    try {
      data = JSON.parse(text)
    } catch {
      notify(false, 'That is not JSON.')
      return
    }
    const ack = await command({ name: 'editAndRedrive', seq: event.seq, data }, 'Redriven with the new payload')
    if (ack?.ok === true) close()
    await readParked()
  }
  return (
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault()
        void save()
      }}
    >
      <h4>
        <label for="edit">Payload</label>
      </h4>
      {event.redacted && (
        <p class="problem">Secrets in this payload are not shown; what stands in their place would replace them.</p>
      )}
      <textarea
        id="edit"
        class="code"
        rows={10}
        spellcheck={false}
        value={text}
        onInput={({ currentTarget }) => {
          editing.value = currentTarget.value
        }}
      />
      <div class="row end">
        <button type="button" class="small" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="small primary">
          Save and redrive
        </button>
      </div>
    </form>
  )
}
