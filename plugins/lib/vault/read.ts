// Reads a vault from its first day to its last.
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isDamage } from '../bytes/damage.ts'
import { decompress } from '../bytes/decompress.ts'
import { type Entry, parseEntry } from './entry.ts'

export interface Range {
  /** Milliseconds since 1970; `to` is exclusive. */
  readonly from: number
  readonly to: number
  /** Also what has no time. */
  readonly undated: boolean
}

/** A line of a vault's file. `entry`: undefined where the line is none, which `why` explains. */
export interface Line {
  readonly file: string
  /** From 1 on. */
  readonly number: number
  readonly entry: Entry | undefined
  readonly why?: string
}

const DAY_MS = 86_400_000
/** `2026-05-01.ndjson.zst`, also with what a rotation has put into the name. */
const NAME = /^(\d{4}-\d\d-\d\d|undated)\..*ndjson\.zst$/

/** The files that may hold entries of a time, in the order of their names. */
export async function filesIn(folder: string, { from, to, undated }: Range): Promise<string[]> {
  const names = await readdir(folder)
  return names
    .filter(name => {
      const [, day] = NAME.exec(name) ?? []
      if (day === undefined) return false
      if (day === 'undated') return undated
      const start = Date.parse(day)
      return start < to && start + DAY_MS > from
    })
    .sort()
}

/** Every line of one file, behind the line `after`. What cannot be decoded is a line without an entry. */
export async function* linesOf(folder: string, file: string, after: number): AsyncGenerator<Line> {
  await using handle = await open(join(folder, file))
  const source = { read: async (into: Buffer, at: number) => (await handle.read(into, 0, into.length, at)).bytesRead }
  let number = 0
  let rest: Buffer[] = []
  const line = (bytes: Buffer): Line | undefined => {
    if (++number <= after) return undefined
    const entry = parseEntry(bytes.toString('utf8'))
    return entry ? { file, number, entry } : { file, number, entry, why: 'the line is no entry of a vault' }
  }
  for await (const decoded of decompress(source, 'zstd')) {
    if (isDamage(decoded)) {
      if (++number > after) yield { file, number, entry: undefined, why: decoded.reason }
      rest = []
      continue
    }
    const piece = Buffer.from(decoded.buffer, decoded.byteOffset, decoded.length)
    let start = 0
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, start)) {
      const part = piece.subarray(start, end)
      const found = line(rest.length > 0 ? Buffer.concat([...rest, part]) : part)
      if (found) yield found
      rest = []
      start = end + 1
    }
    if (start < piece.length) rest.push(Buffer.from(piece.subarray(start)))
  }
}
