// What the tests of exported files share: reading JSON arrays and CSV back as a strict reader does, and a disk that fails at a byte.
import { parse } from 'csv-parse/sync'
import type { Output } from '../../core/plugin/interfaces.ts'
import type { Json, JsonObject } from '../../core/plugin/json.ts'
import { type Disk, disk, type Handle } from '../../plugins/outputs/file/disk.ts'
import file from '../../plugins/outputs/file/index.ts'
import { create, fakeContext, unpacked } from './file-output-support.ts'

export type Form = 'json' | 'csv'

/** Records whose text has all that could be taken for the end of one. */
export function awkward(from: number, to: number): JsonObject[] {
  const texts = ['a\r\nb', '"\n"', ']\n', ',\n', '\n]\n', '{"n":1}\n', '""', '', '\n', '},\n{']
  return Array.from({ length: to - from }, (_, i) => ({ n: from + i, text: texts[(from + i) % texts.length] as string }))
}

/** The options that write `awkward` records in this form. */
export function formOptions(form: Form): JsonObject {
  return form === 'csv' ? { format: 'csv', columns: ['n', 'text'], csv_escape_formulas: false } : { format: 'json' }
}

/** The records of a file; throws where it is not whole. */
export function recordsOf(bytes: Buffer, form: Form, compression = 'none'): JsonObject[] {
  const text = unpacked(bytes, compression)
  if (form === 'json') return JSON.parse(text) as JsonObject[]
  // A file that was made and got nothing has no header.
  if (text === '') return []
  if (!text.endsWith('\r\n')) throw new Error(`the last row has no end: ${JSON.stringify(text.slice(-40))}`)
  const [header, ...rows] = parse(text, { bom: true, relax_column_count: false }) as string[][]
  if (header?.join() !== 'n,text') throw new Error(`another header: ${header?.join()}`)
  return rows.map(([n, value]) => {
    if (!/^\d+$/.test(n ?? '')) throw new Error(`no row of ours: ${n},${value}`)
    return { n: Number(n), text: value as string }
  })
}

export async function opened(options: JsonObject, folder: string, stored = new Map<string, Json | Uint8Array>()) {
  const output: Output = create(file, options, folder)
  const context = fakeContext(stored)
  await output.open?.(context)
  return { output, context }
}

/** The real file system, whose writes take no more than `room` bytes together and then fail. */
export function narrowDisk(): { readonly disk: Disk; room: number; code: string } {
  const narrow = {
    room: Number.POSITIVE_INFINITY,
    code: 'ENOSPC',
    disk: {
      ...disk,
      async open(path: string, flags: number, mode?: number): Promise<Handle> {
        const handle = await disk.open(path, flags, mode)
        return {
          fd: handle.fd,
          async writev(slices: Uint8Array[], position?: number) {
            const all = Buffer.concat(slices)
            if (narrow.room === 0) throw Object.assign(new Error(`${narrow.code}: injected`), { code: narrow.code })
            const some = all.subarray(0, Math.min(all.length, narrow.room))
            narrow.room -= some.length
            return handle.writev([some], position)
          },
          datasync: () => handle.datasync(),
          sync: () => handle.sync(),
          truncate: (length: number) => handle.truncate(length),
          read: handle.read.bind(handle),
          chmod: handle.chmod.bind(handle),
          close: () => handle.close(),
          stat: handle.stat.bind(handle),
        } as Handle
      },
    },
  }
  return narrow
}
