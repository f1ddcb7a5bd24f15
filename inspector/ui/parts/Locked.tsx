import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import { wire } from '../state/store.ts'

const problem = signal('')

/** Shown while the server wants a token. */
export const Locked = (): JSX.Element => (
  <main class="locked">
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault()
        const token = String(new FormData(submitted.currentTarget).get('token') ?? '').trim()
        if (token === '') return
        void wire.open(token).then((taken) => {
          problem.value = taken ? '' : 'That token was not accepted.'
        })
      }}
    >
      <h1>Inspector</h1>
      <label for="token">Token</label>
      <input id="token" name="token" type="password" autocomplete="current-password" required />
      {problem.value !== '' && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <button type="submit" class="primary">
        Look
      </button>
      <p class="faint">
        It is what <code>KOKSMAT_INSPECTOR_TOKEN</code> was set to where the controller runs. A link may carry it as{' '}
        <code>#token=…</code>; it leaves the address at once.
      </p>
    </form>
  </main>
)
