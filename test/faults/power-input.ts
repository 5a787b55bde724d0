// An input for tests whose source forgets what it was told is settled, as a queue does: what it then cannot give again must be safe.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { defineInput } from '../../core/plugin/define.ts'

/** Records in a chunk. */
const CHUNK = 10

export default defineInput({
  summary: 'Reads a file of lines from where it was last told that they are settled, for tests',
  options: {
    path: { type: 'string', required: true, description: 'The file, absolute' },
    notes: { type: 'string', required: true, description: 'File that gets a line each time a place in the file is settled' },
  },
  examples: [{ path: '/in.ndjson', notes: '/notes' }],
  create({ path, notes }) {
    return {
      async *read(positions, signal) {
        const noted = existsSync(notes) ? Number(readFileSync(notes, 'utf8').trim().split('\n').at(-1)?.split(' ')[1] ?? 0) : 0
        const stored = (positions.get('') as { offset: number } | undefined)?.offset ?? 0
        // What was told must be known to whoever told it.
        if (stored < noted) appendFileSync(notes, `forgotten ${noted}\n`)
        const all = readFileSync(path)
        for (let start = Math.max(stored, noted); start < all.length && !signal.aborted; ) {
          const ends: number[] = []
          let end = start
          while (ends.length < CHUNK && end < all.length) {
            end = all.indexOf(10, end) + 1
            ends.push(end - 1 - start)
          }
          const bytes = all.subarray(start, end)
          yield { bytes, ends: Uint32Array.from(ends), offset: start, meta: { path }, position: { path, offset: end } }
          start = end
        }
      },
      settled(_partition, position) {
        appendFileSync(notes, `settled ${(position as { offset: number }).offset}\n`)
      },
    }
  },
})
