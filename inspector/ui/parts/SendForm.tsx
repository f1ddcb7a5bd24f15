import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import type { ActorView } from '../../protocol/actors.ts'
import { notify } from '../state/commands.ts'
import { mayOperate, wire } from '../state/store.ts'

/** Sends an event to the actor one looks at. The server decides whether it may. */
export const SendForm = ({ actor }: { actor: ActorView }): JSX.Element => {
  const type = useSignal('')
  const json = useSignal('')
  const problem = useSignal('')
  const known = (actor.next ?? []).filter((name) => !(name.startsWith('xstate.') || name.includes('*')))

  const send = async (): Promise<void> => {
    const payload = read(json.value)
    if (payload === undefined) {
      problem.value = 'The payload is not a JSON object.'
      return
    }
    problem.value = ''
    const ack = await wire.ask({ type: 'send', sessionId: actor.sessionId, event: { ...payload, type: type.value } })
    if (ack.ok) notify(true, `${type.value} was sent to ${actor.id}`)
    else problem.value = ack.error.message
  }

  return (
    <form
      class="send"
      onSubmit={(submitted) => {
        submitted.preventDefault()
        void send()
      }}
    >
      <label for="send-type">Send</label>
      <input
        id="send-type"
        list="send-types"
        placeholder="event type"
        required
        autocomplete="off"
        spellcheck={false}
        value={type.value}
        onInput={({ currentTarget }) => {
          type.value = currentTarget.value.trim()
        }}
      />
      <datalist id="send-types">
        {known.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <input
        id="send-json"
        class="code"
        placeholder='{ "payload": "as JSON" }'
        aria-label="Payload"
        autocomplete="off"
        spellcheck={false}
        value={json.value}
        onInput={({ currentTarget }) => {
          json.value = currentTarget.value
        }}
      />
      <button type="submit" disabled={!mayOperate.value} title={mayOperate.value ? '' : 'Needs an operate token'}>
        Send
      </button>
      {problem.value !== '' && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
    </form>
  )
}

const read = (text: string): object | undefined => {
  if (text.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}
