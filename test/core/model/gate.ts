// A gate that remembers in the plainest way, with rows of its own; it tells the model whom it let through.
import type { Context, Filter, Hold } from '../../../core/plugin/interfaces.ts'
import type { Life } from './life.ts'

interface Waiting {
  readonly event: string
  readonly hold: Hold
}

/**
 * Both instances of one pipeline share `asked`: the transform's names the events that it asks about, the main thread's takes them in
 * the same order, since a gate sees only their keys.
 */
export function gate(life: Life): () => Filter {
  const asked: { readonly key: string; readonly event: string }[] = []
  return () => {
    const kept = new Set<string>()
    const reserved = new Map<string, Waiting[]>()
    return {
      async open({ rows }: Context) {
        for (const [key] of await rows.list('')) kept.add(key)
      },
      gate: {
        key(event) {
          const number = event.fields['key'] as number
          if (number < 0) return undefined
          const key = `k${number}`
          asked.push({ key, event: event.id })
          return key
        },
        admit(key, hold) {
          const { event } = asked.shift() ?? { event: '?' }
          const waiting = reserved.get(key)
          if (!waiting && !kept.has(key)) {
            reserved.set(key, [])
            life.admitted(key, event)
            return true
          }
          life.repeats(key, event)
          if (waiting) waiting.push({ event, hold })
          else {
            life.released(event)
            hold.release()
          }
          return false
        },
        keep: keys => keys.map(key => [key, 1] as const),
        settled(key, delivered) {
          life.fate(key, delivered)
          if (delivered) kept.add(key)
          const waiting = reserved.get(key) ?? []
          reserved.delete(key)
          for (const { event, hold } of waiting) {
            life.released(event)
            // A gate may do so without harm.
            hold.release()
            hold.release()
          }
        },
      },
    }
  }
}
