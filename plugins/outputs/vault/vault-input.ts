// The records that one input of a pipeline has left in a vault, as an input that takes its place.
import { defineInput, type PluginOf } from '../../../core/plugin/define.ts'
import type { Chunk, Fault } from '../../../core/plugin/interfaces.ts'
import { isObject } from '../../../core/plugin/json.ts'
import type { Entry } from '../../lib/vault/entry.ts'
import { filesIn, type Line, linesOf, type Range } from '../../lib/vault/read.ts'

const CHUNK_BYTES = 128 * 1024
/** So many lines at most lie between two positions. */
const CHUNK_LINES = 10_000

/** @param idField Of the input whose place it takes. */
export function vaultInput(folder: string, id: string, range: Range, idField: string | undefined): PluginOf<'input'> {
  return defineInput({
    summary: 'Reads a vault',
    options: {},
    examples: [{}],
    ...(idField !== undefined && { idField }),
    create: () => ({
      async *read(positions, signal) {
        const stored = positions.get('')
        const [file = '', line = 0] = isObject(stored) ? [String(stored['file']), Number(stored['line'])] : []
        for (const name of await filesIn(folder, range)) {
          if (name < file) continue
          yield* chunksOf(linesOf(folder, name, name === file ? line : 0), id, range, signal)
        }
      },
    }),
  })
}

async function* chunksOf(lines: AsyncIterable<Line>, id: string, range: Range, signal: AbortSignal): AsyncGenerator<Chunk> {
  let entries: Entry[] = []
  let faults: Fault[] = []
  let bytes = 0
  let seen = 0
  let last: Line | undefined
  let meta = ''
  const chunk = (at: Line): Chunk => {
    const made = chunkOf(entries, faults, at)
    entries = []
    faults = []
    bytes = 0
    seen = 0
    return made
  }
  for await (const line of lines) {
    signal.throwIfAborted()
    const { entry } = line
    if (entry && entry.input === id && isIn(entry, range)) {
      const own = JSON.stringify(entry.meta)
      // A chunk has one meta.
      if (last && (own !== meta || bytes + entry.record.length > CHUNK_BYTES) && entries.length > 0) yield chunk(last)
      meta = own
      // The parts of a record that was split were kept one by one.
      if (!isSame(entries.at(-1), entry)) {
        entries.push(entry)
        bytes += entry.record.length
      }
    } else if (!entry) faults.push(faultOf(line))
    last = line
    if (++seen >= CHUNK_LINES) yield chunk(line)
  }
  if (last && seen > 0) yield chunk(last)
}

function isIn({ time }: Entry, { from, to, undated }: Range): boolean {
  return Number.isNaN(time) ? undated : time >= from && time < to
}

function isSame(before: Entry | undefined, entry: Entry): boolean {
  return before !== undefined && before.id === entry.id && before.record.equals(entry.record)
}

function chunkOf(entries: readonly Entry[], faults: readonly Fault[], { file, number }: Line): Chunk {
  const ends = new Uint32Array(entries.length)
  const starts = new Uint32Array(entries.length)
  const ids = new Map<number, string>()
  let end = 0
  for (const [index, { record, id }] of entries.entries()) {
    starts[index] = end
    end += record.length
    ends[index] = end
    if (id !== undefined) ids.set(index, id)
  }
  return {
    bytes: Buffer.concat(entries.map(({ record }) => record)),
    ...{ starts, ends, faults, position: { file, line: number } },
    ...(entries[0] && { meta: entries[0].meta }),
    ...(ids.size > 0 && { ids }),
  }
}

function faultOf({ file, number, why = '' }: Line): Fault {
  const bytes = Buffer.from(JSON.stringify({ file, line: number }))
  return { code: 'PEN_VAULT', reason: `${file}, line ${number}: ${why}`, bytes, offset: 0, length: bytes.length }
}
