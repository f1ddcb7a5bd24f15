/** What a handler says of its progress, as JSON that may be shown: at most 4,096 characters, and never an error. */
export const progressOf = (said: unknown): { readonly progress?: unknown } => {
  if (said === undefined) return {}
  try {
    const text = JSON.stringify(said)
    if (text === undefined) return { progress: `not JSON: a ${typeof said}` }
    return { progress: text.length <= mostChars ? JSON.parse(text) : `${text.slice(0, mostChars)}…` }
  } catch (thrown) {
    return { progress: `not JSON: ${thrown instanceof Error ? thrown.message : 'it threw'}` }
  }
}

const mostChars = 4_096
