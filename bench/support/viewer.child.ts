import { WebSocket } from 'ws'

/** A viewer of the inspector, as the page is one: watches all events, all states and one snapshot, and reads everything. */
const page = process.argv[2] ?? ''
const socket = new WebSocket(`${page.replace(/^http/, 'ws')}ws`)
socket.on('message', (data) => {
  const { type, actors } = JSON.parse(String(data)) as { type: string; actors?: readonly { sessionId: string }[] }
  // A second hello follows the first watch.
  if (type !== 'hello' || !process.connected) return
  const root = actors?.[0]?.sessionId ?? ''
  socket.send(JSON.stringify({ type: 'watch', events: 'all', snapshots: [root], states: true }))
  process.disconnect?.()
})
socket.on('close', () => process.exit(0))
