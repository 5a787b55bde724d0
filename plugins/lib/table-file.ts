// What the tables that are read from a text file have in common: decoding, keys, errors that name the file.
import { open } from 'node:fs/promises'
import { asError, PenstockError } from '../../core/plugin/errors.ts'
import type { TableHandle } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { type OnDuplicate, tableImageBuilder, tableImageView } from './table-image.ts'

const READ_BYTES = 256 * 1024

/** Options of every such table, to be spread into a plugin's own. */
export const tableFileOptions = {
  ignore_case: {
    type: 'boolean',
    default: false,
    description: 'Take capital and small letters of keys for the same, as for mail addresses',
  },
  on_duplicate: {
    type: 'string',
    enum: ['last', 'first', 'error'],
    default: 'last',
    description: 'Which row counts where a key comes twice; error refuses the file',
  },
} as const

export interface TableFileOptions {
  readonly path: string
  readonly ignore_case: boolean
  readonly on_duplicate: OnDuplicate
}

/** Adds a row; one whose key is missing or empty is passed over, since nothing could find it. */
export type AddRow = (key: unknown, row: JsonObject) => void

/**
 * Builds the image of a file. `fill` gets the decoded text in pieces and adds the rows.
 * @throws PenstockError (PEN_TABLE) naming the file, when it cannot be read, is not UTF-8 (or UTF-16 with a byte order mark), or
 *   `fill` throws.
 */
export async function loadTableFile(
  { path, ignore_case, on_duplicate }: TableFileOptions,
  signal: AbortSignal,
  fill: (text: AsyncIterable<string>, add: AddRow) => Promise<void>,
): Promise<SharedArrayBuffer> {
  const builder = tableImageBuilder(on_duplicate)
  const pieces = textOf(path, signal)
  try {
    await fill(pieces, (key, row) => {
      const text = typeof key === 'number' ? String(key) : key
      if (typeof text === 'string' && text !== '') builder.add(ignore_case ? text.toLowerCase() : text, row)
    })
  } catch (error) {
    signal.throwIfAborted()
    throw new PenstockError('PEN_TABLE', `${path}: ${asError(error).message}`, { cause: error })
  } finally {
    // Closes the file where `fill` threw before it had read to the end.
    await pieces.return(undefined)
  }
  return builder.finish()
}

export function viewTableFile({ path, ignore_case }: TableFileOptions, image: SharedArrayBuffer | undefined): TableHandle {
  if (!image) throw new PenstockError('PEN_TABLE', `${path} is not loaded yet`)
  const view = tableImageView(image)
  return ignore_case ? { lookup: key => view.lookup(key.toLowerCase()) } : view
}

async function* textOf(path: string, signal: AbortSignal): AsyncGenerator<string> {
  await using file = await open(path, 'r')
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  let decoder: TextDecoder | undefined
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES)
    signal.throwIfAborted()
    // Excel's "Unicode text" is UTF-16 with a byte order mark, which the decoder takes away.
    decoder ??= new TextDecoder(bytesRead > 1 && buffer[0] === 0xff && buffer[1] === 0xfe ? 'utf-16le' : 'utf-8', { fatal: true })
    let text: string
    try {
      text = decoder.decode(buffer.subarray(0, bytesRead), { stream: bytesRead > 0 })
    } catch (cause) {
      throw new Error(`it holds bytes that are no ${decoder.encoding}; save it as UTF-8`, { cause })
    }
    if (text) yield text
    if (bytesRead === 0) return
  }
}
