import { useSignal } from '@preact/signals'
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { dismiss, notices, type Question, question } from '../state/commands.ts'
import { helpOpen, keys } from '../state/keyboard.ts'

export const Dialogs = (): JSX.Element => (
  <>
    {question.value !== undefined && <Confirm asked={question.value} />}
    {helpOpen.value && <Help />}
    <output class="notices" aria-live="polite">
      {notices.value.map(({ id, ok, text }) => (
        <p key={id} class={ok ? 'ok' : 'failed'}>
          {text}
          <button type="button" class="icon" aria-label="Dismiss" onClick={() => dismiss(id)}>
            ×
          </button>
        </p>
      ))}
    </output>
  </>
)

const Modal = (props: { label: string; close(): void; children: ComponentChildren }): JSX.Element => {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} aria-label={props.label} onClose={props.close}>
      {props.children}
    </dialog>
  )
}

const Confirm = ({ asked }: { asked: Question }): JSX.Element => {
  const typed = useSignal('')
  const allowed = asked.word === undefined || typed.value === asked.word
  const close = (): void => {
    question.value = undefined
  }
  return (
    <Modal label={asked.title} close={close}>
      <form
        method="dialog"
        onSubmit={(submitted) => {
          if (allowed) asked.yes()
          else submitted.preventDefault()
        }}
      >
        <h2>{asked.title}</h2>
        <p>{asked.text}</p>
        {asked.word !== undefined && (
          <label>
            <span>
              Type <b>{asked.word}</b> to go on
            </span>
            <input
              id="confirm"
              value={typed.value}
              autocomplete="off"
              spellcheck={false}
              onInput={({ currentTarget }) => {
                typed.value = currentTarget.value.trim()
              }}
            />
          </label>
        )}
        <div class="row end">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={!allowed}>
            {asked.button}
          </button>
        </div>
      </form>
    </Modal>
  )
}

const Help = (): JSX.Element => (
  <Modal
    label="Keyboard"
    close={() => {
      helpOpen.value = false
    }}
  >
    <form method="dialog">
      <h2>Keyboard</h2>
      <dl class="keys">
        {keys.map(([key, meaning]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <div class="row end">
        <button type="submit">Close</button>
      </div>
    </form>
  </Modal>
)
