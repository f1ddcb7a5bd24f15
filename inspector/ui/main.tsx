import { render } from 'preact'
import { Page } from './Page.tsx'
import { keepAddress, takeToken } from './state/address.ts'
import { startKeyboard } from './state/keyboard.ts'
import { startStore } from './state/store.ts'
import { startTheme } from './state/theme.ts'

const root = document.getElementById('page')
if (root !== null) {
  const token = takeToken()
  startTheme()
  keepAddress()
  startKeyboard()
  startStore(token)
  render(<Page />, root)
}
