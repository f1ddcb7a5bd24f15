import { registerHooks } from 'node:module'

/**
 * Loaded into a controller before anything else (`--import`): in place of the journal and of the drivers it gets those of
 * this folder, which count each step into and out of them. The product knows nothing of it.
 */
const wrapped: Readonly<Record<string, string>> = {
  'src/journal/journal.ts': 'steps.journal.ts',
  'src/runtime/drivers.ts': 'steps.drivers.ts',
}

registerHooks({
  resolve: (specifier, context, next) => {
    const found = next(specifier, context)
    const wrapper = Object.entries(wrapped).find(([path]) => found.url.endsWith(path))?.[1]
    if (wrapper === undefined || context.parentURL?.includes('/test/faults/')) return found
    return { ...found, url: new URL(wrapper, import.meta.url).href }
  },
})
