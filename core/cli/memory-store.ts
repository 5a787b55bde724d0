// A store in memory, for work that must leave no trace: `penstock test`, and tests of plugins.
import type { Json } from '../plugin/json.ts'
import type { DeadLetter, LetterFilter, Store, StoredLetter } from '../state/types.ts'
import { type MemoryQueue, memoryQueue } from './memory-queue.ts'

/** Keeps everything until it is forgotten with the object. */
export function memoryStore(): Store & { readonly stored: readonly StoredLetter[] } {
  const positions = new Map<string, readonly [string, string, string, Json, string]>()
  const rows = new Map<string, Map<string, Json | Uint8Array>>()
  const queues = new Map<string, MemoryQueue>()
  let letters: StoredLetter[] = []
  let ids = 0
  const at = new Date(0).toISOString()
  const fits = (filter: LetterFilter) => (letter: StoredLetter) =>
    (filter.pipeline ?? letter.pipeline) === letter.pipeline &&
    (filter.step ?? letter.step) === letter.step &&
    (filter.ids?.includes(letter.id) ?? true) &&
    (filter.replay ?? letter.replay) === letter.replay &&
    (filter.before === undefined || letter.at < filter.before) &&
    letter.id > (filter.after ?? 0)

  return {
    folder: '',
    get stored() {
      return letters
    },
    letters: {
      async add(added: readonly DeadLetter[]) {
        for (const letter of added) letters.push({ ...letter, id: ++ids, at, replay: false })
      },
      list: async filter => letters.filter(fits(filter)).slice(0, filter.limit ?? 1_000),
      async counts() {
        const counts = new Map<string, { pipeline: string; step: string; code: string; count: number; bytes: number }>()
        for (const { pipeline, step, code, bytes } of letters) {
          const key = `${pipeline}/${step}/${code}`
          const count = counts.get(key) ?? { pipeline, step, code, count: 0, bytes: 0 }
          count.count++
          count.bytes += bytes.length
          counts.set(key, count)
        }
        return [...counts.values()]
      },
      async mark(filter) {
        const marked = letters.filter(fits(filter))
        letters = letters.map(letter => (marked.includes(letter) ? { ...letter, replay: true } : letter))
        return marked.length
      },
      async remove(filter) {
        const before = letters.length
        const removed = fits(filter)
        letters = letters.filter(letter => !removed(letter))
        return before - letters.length
      },
    },
    async positions(pipeline, input) {
      const own = [...positions.values()].filter(([name, id]) => name === pipeline && id === input)
      return new Map(own.map(([, , partition, position]) => [partition, position]))
    },
    async commit(changes) {
      for (const [pipeline, input, partition, position] of changes.positions) {
        const key = JSON.stringify([pipeline, input, partition])
        if (position === null) positions.delete(key)
        else positions.set(key, [pipeline, input, partition, position, at])
      }
      for (const [scope, key, value] of changes.rows) {
        const own = rows.get(scope) ?? new Map<string, Json | Uint8Array>()
        rows.set(scope, own)
        if (value === null) own.delete(key)
        else own.set(key, value)
      }
    },
    get: async (scope, key) => rows.get(scope)?.get(key),
    list: async (scope, prefix, { after, limit } = {}) =>
      [...(rows.get(scope) ?? [])]
        .filter(([key]) => key.startsWith(prefix) && (after === undefined || key > after))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .slice(0, limit),
    scopes: async () => [...rows.keys()].sort(),
    allPositions: async () => [...positions.values()],
    async reset(pipeline, step) {
      let gone = 0
      for (const [key, [name, id]] of positions) {
        if (name !== pipeline || (step ?? id) !== id) continue
        positions.delete(key)
        gone++
      }
      for (const [scope, own] of rows) {
        if (scope !== `${pipeline}/${step}` && (step !== undefined || !scope.startsWith(`${pipeline}/`))) continue
        gone += own.size
        rows.delete(scope)
      }
      return gone
    },
    openQueue: async (pipeline, output, maxBytes, window) => {
      const key = `${pipeline}.${output}`
      const queue = queues.get(key) ?? memoryQueue()
      queues.set(key, queue)
      return queue.open(maxBytes, window)
    },
    async queues() {
      return [...queues].map(([key, queue]) => {
        const [pipeline = '', output = ''] = key.split('.')
        return { pipeline, output, ...queue.totals() }
      })
    },
    async dropQueue(pipeline, output) {
      const key = `${pipeline}.${output}`
      const events = queues.get(key)?.totals().events ?? 0
      queues.delete(key)
      return events
    },
    async close() {},
  }
}
