// The files that a pipeline's outputs write: found by their paths, and read as the lines that came since the start.
import { createReadStream, globSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import type { PipelineConfig } from '../../../../../core/config/types.ts'

/** Files of the pipeline's file outputs that there are now, absolute. */
export function outputFiles(outputs: PipelineConfig['outputs']): string[] {
  const found = outputs.flatMap(({ type, options, folder }) => {
    if (type !== 'file') return []
    // A rotated file has the time between its name and its ending.
    const path = resolve(folder, String(options['path']).replaceAll(/%\{[^}]*\}/g, '\0'))
    const [stem = '', ...endings] = basename(path).split('.')
    const rotated = join(dirname(path), [stem, '*', ...endings].join('.'))
    return [path, rotated].flatMap(one => globSync(pattern(one)))
  })
  return [...new Set(found)].sort()
}

/** A path as a pattern: `\0` stands for any text, all else for itself. */
function pattern(path: string): string {
  return path.replaceAll(/[[\]{}()!?+@]/g, '[$&]').replaceAll('\0', '*')
}

export function sizesOf(files: readonly string[]): ReadonlyMap<string, number> {
  return new Map(files.map(file => [file, statSync(file).size]))
}

/** The lines of these files; `before`: sizes of files whose first bytes were there already. */
export async function* linesOf(files: readonly string[], before: ReadonlyMap<string, number>): AsyncGenerator<string> {
  for (const file of files) {
    const start = before.get(file) ?? 0
    let bytes: Readable = createReadStream(file, { start })
    const unpacked = /\.gz$/.test(file) ? createGunzip() : /\.zst$/.test(file) ? createZstdDecompress() : undefined
    if (unpacked) {
      bytes.on('error', error => unpacked.destroy(error))
      bytes = bytes.pipe(unpacked)
    }
    yield* createInterface({ input: bytes, crlfDelay: Number.POSITIVE_INFINITY })
  }
}
