// What stands in a file or blob beside its records, as it is stored: packed where the records are.
import { type Format, type FormatName, formatOf } from './format.ts'
import { type Compression, storedMember } from './packing.ts'

export interface Layout {
  readonly format: FormatName
  /** What a file begins with. */
  readonly head: Uint8Array
  /** What goes before a batch that is not a file's first. */
  readonly next: Uint8Array
  /** What a file ends with; the next batch is written over it. */
  readonly close: Uint8Array
  /** Bytes that the first record of a batch goes without. */
  readonly skip: number
}

const NOTHING = new Uint8Array(0)

/** Records that follow one another, a line each, and nothing else. */
export const LINES: Layout = { format: 'ndjson', head: NOTHING, next: NOTHING, close: NOTHING, skip: 0 }

export function layoutOf({ name, head, next, close, skip }: Format, compression: Compression): Layout {
  const packed = (bytes: Uint8Array) => (compression === 'none' || bytes.length === 0 ? bytes : storedMember(bytes, compression))
  return { format: name, head: packed(head), next: packed(next), close: packed(close), skip }
}

/** As much of the layout of a file as can be known without the options that it was written with: not a header of CSV. */
export function layoutNamed(format: FormatName, compression: Compression): Layout {
  return format === 'json' ? layoutOf(formatOf({ format }), compression) : { ...LINES, format }
}

/** True when the end of a file is written anew by each batch, and not only appended to. */
export function overwrites({ close }: Layout): boolean {
  return close.length > 0
}
