/**
 * The page of the bridge, in the browser: opens the inspector of Stately in another window, and hands on what the
 * controller says for as long as that window wants it. Nothing is asked of the controller before.
 *
 * ```
 * window of Stately ── @statelyai.connected ──▸ page ── messages ──▸ bridge ──▸ controller
 *                   ◂────── postMessage ──────      ◂── one a line ──       ◂──
 * ```
 *
 * `to` is the address of the inspector of Stately.
 */
export const pageOf = (to: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>koksmat-controller → Stately</title>
<link rel="icon" href="data:,">
<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 40em; margin: 4em auto; padding: 0 1em; color-scheme: light dark }</style>
<script src="bridge.js" defer></script>
</head>
<body>
<h1>koksmat-controller → Stately</h1>
<p>The other window shows what this controller does. It is a page of Stately: what the controller's inspector would show goes
there, secrets redacted. Keep this window open.</p>
<p><button id="open">Open ${escaped(to)}</button></p>
<p id="state" role="status">Nothing is sent yet.</p>
</body>
</html>
`

/** Its script. A new stream begins with every actor, so one that broke, or a window that was loaded again, misses none. */
export const scriptOf = (to: string): string => `
let shown, origin, messages, count = 0
const say = (text) => { document.getElementById('state').textContent = text }

const follow = () => {
  messages?.close()
  messages = new EventSource('messages')
  messages.onmessage = ({ data }) => {
    shown.postMessage(JSON.parse(data), origin)
    count += 1
    say(count + ' messages sent.')
  }
  messages.onerror = () => say('The controller does not answer; trying again.')
}

window.addEventListener('message', ({ data, source, origin: from }) => {
  if (shown === undefined || source !== shown || data?.type !== '@statelyai.connected') return
  origin = from
  follow()
})

document.getElementById('open').addEventListener('click', () => {
  messages?.close()
  shown = window.open(${JSON.stringify(to)}, 'koksmat-stately') ?? undefined
  say(shown === undefined ? 'The browser did not open the window.' : 'Waiting for the other window.')
})
`

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
