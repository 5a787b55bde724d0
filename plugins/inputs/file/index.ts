// Reads files: what is there, or also what is written to them from now on.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { defineInput } from '../../../core/plugin/define.ts'
import { OptionError, PenstockError } from '../../../core/plugin/errors.ts'
import type { Context } from '../../../core/plugin/interfaces.ts'
import { createBuffers } from './content.ts'
import { createFinder } from './discover.ts'
import { follow } from './follow.ts'
import { createTroubles, type Job, type Tally } from './job.ts'
import { readOnce } from './once.ts'
import { Known } from './position.ts'

const DESCRIPTION = `
Without \`follow\` each file is read to its end, one after the other, and then the input ends. Run again, it reads only what is new:
files that have grown are read on from where they were left, and the others are not opened.

A file is recognised by its inode, its first 1,024 bytes and the 256 bytes before the place where reading stopped, not by its name
alone: it may be renamed, and a new file under an old name is read from its beginning. A content that goes on in another file (a
copy whose original was cut off or removed, also compressed: \`app.log\` to \`app.log.1.gz\`) is read on there, when its beginning and
the bytes before the place are the same; one of fewer than 1,024 bytes only
where the new name begins with the old one, one of fewer than 64 never. A file
that is gone is forgotten after \`forget_after_ms\`.

With \`follow\` files are read on as they grow, through rename, copy-and-truncate and removal: a file stays open until it is read
to the end. A last line is read when its newline has come, or \`rotate_wait_ms\` after the file was renamed or removed; at a stop it is left
for the next start. What is written between the copy and the truncation of a copy-and-truncate rotation is lost by that way of
rotating, whoever reads. Changes are seen at once on local file systems, on others within \`poll_interval_ms\`.

gzip members and zstd frames are decoded one after the other. What cannot be decoded (a cut or damaged file, garbage behind it)
becomes a dead letter with its place in the compressed file, and reading goes on with the next member or frame that can be. UTF-16
becomes UTF-8. Offsets in positions and dead letters count in the decompressed UTF-8 text. A compressed or UTF-16 file is decoded
from its beginning when reading goes on in the middle of it.
`.trim()

export default defineInput({
  summary: 'Reads files: plain, gzip or zstd, in UTF-8 or UTF-16, once or as they grow',
  description: DESCRIPTION,
  options: {
    paths: {
      type: ['string', 'array'],
      format: 'glob',
      required: true,
      minLength: 1,
      minItems: 1,
      items: { type: 'string', format: 'glob', minLength: 1 },
      description: 'Files to read, with * ? [] {} and ** as wildcards; relative paths count from the folder of the pipeline file',
    },
    exclude: {
      type: ['string', 'array'],
      format: 'glob',
      minLength: 1,
      items: { type: 'string', format: 'glob', minLength: 1 },
      default: [],
      description: 'Files to leave out, with wildcards; without a slash it is a name in any folder',
    },
    follow: { type: 'boolean', default: false, description: 'Goes on reading what is written to the files, until it is stopped' },
    start_at: {
      enum: ['beginning', 'end'],
      default: 'beginning',
      description: 'Where to begin, with follow, in files that are there when it starts for the first time',
    },
    compression: {
      enum: ['auto', 'none', 'gzip', 'zstd'],
      default: 'auto',
      description: 'How the files are compressed; auto looks at their first bytes',
    },
    encoding: {
      enum: ['auto', 'utf-8', 'utf-16le', 'utf-16be'],
      default: 'auto',
      description: 'Encoding of the text; auto goes by the byte order mark, or by the zero bytes that UTF-16 has',
    },
    order: {
      enum: ['name', 'mtime'],
      default: 'name',
      description: 'Order of the files: by path, or the one that was written to least recently first',
    },
    missing: {
      enum: ['error', 'wait'],
      default: 'error',
      description: 'What to do when a path without wildcards does not exist: stop with an error, or wait until it does',
    },
    discover_interval_ms: {
      type: 'integer',
      minimum: 50,
      default: 1000,
      description: 'How often to look for new files, in milliseconds',
    },
    poll_interval_ms: {
      type: 'integer',
      minimum: 10,
      default: 250,
      description: 'How often to look whether followed files have grown, in milliseconds',
    },
    rotate_wait_ms: {
      type: 'integer',
      minimum: 0,
      default: 5000,
      description:
        'How long a file that was renamed, removed or cut off may still grow before its last line counts as whole, in milliseconds',
    },
    forget_after_ms: {
      type: 'integer',
      minimum: 0,
      default: 604_800_000,
      description: 'How long to remember a file that is gone, in milliseconds',
    },
  },
  examples: [
    { paths: ['exports/*.ndjson.gz'] },
    { paths: '/var/log/app.log*', exclude: '*.tmp', follow: true, start_at: 'end' },
    { paths: ['mounted/**/*.csv'], order: 'mtime', encoding: 'utf-16le', compression: 'none', missing: 'wait' },
  ],
  create(options, site) {
    if (options.start_at === 'end' && !options.follow) {
      throw new OptionError('start_at', 'end makes sense with follow: true only; without it nothing would ever be read')
    }
    const finder = createFinder(site.folder, asList(options.paths), asList(options.exclude), options.order)
    const tally: Tally = { files: 0, before: 0, bytes: 0, damages: 0 }
    let context: Context | undefined
    let job: Job | undefined

    return {
      async open(given) {
        context = given
        for (const path of finder.named) await mustBeFile(path, options.missing)
      },
      async *read(positions, signal) {
        if (!context) throw new Error('read() came before open()')
        const known = new Known()
        const partitions = [...positions.partitions()]
        for (const partition of partitions) known.load(partition, positions.get(partition))
        job = {
          context,
          options,
          finder,
          known,
          tally,
          troubles: createTroubles(context),
          buffers: createBuffers(options.follow ? 1 : 2),
        }
        yield* options.follow ? follow(job, partitions.length === 0, signal) : readOnce(job, signal)
      },
      summary() {
        const unread = job?.troubles.size ?? 0
        return {
          title: `Files of ${site.id}`,
          rows: [
            ['files read', tally.files],
            ['files already read to the end before', tally.before],
            ['bytes read (decoded)', tally.bytes],
            ...(tally.damages > 0 ? ([['places that could not be decoded', tally.damages]] as const) : []),
            ...(unread > 0 ? ([['paths that could not be read', unread]] as const) : []),
          ],
        }
      },
    }
  },
})

function asList(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value
}

/** What is wrong with a path that stands there by name stops the start. What cannot be read is told later, and the others are read. */
async function mustBeFile(path: string, missing: 'error' | 'wait'): Promise<void> {
  try {
    if (!(await stat(path)).isDirectory()) return
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (missing === 'wait' || (code !== 'ENOENT' && code !== 'ENOTDIR')) return
    throw new PenstockError('PEN_FILE_MISSING', `there is no file ${path}; correct the path, or write missing: wait`, {
      cause: error,
    })
  }
  throw new PenstockError('PEN_FILE_FOLDER', `${path} is a folder; write ${join(path, '*')} for the files in it`)
}
