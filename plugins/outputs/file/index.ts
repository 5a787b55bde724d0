// Writes events to files as NDJSON, JSON arrays or CSV, plain or compressed, durable before they count as delivered.
import { basename, dirname, resolve } from 'node:path'
import { defineOutput } from '../../../core/plugin/define.ts'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Output } from '../../../core/plugin/interfaces.ts'
import { addressBook, byDestination, type Same } from '../../lib/export/destinations.ts'
import { FORMAT_OPTIONS, formatOf } from '../../lib/export/format.ts'
import { layoutOf } from '../../lib/export/layout.ts'
import { compile } from '../../lib/template.ts'
import type { FileSettings } from './descriptors.ts'
import { disk } from './disk.ts'
import { FileSet } from './file-set.ts'
import { folderOf, pathRules } from './path-rules.ts'
import { ASIDE_BYTES } from './rotation.ts'

/** Paths that the summary counts. */
const COUNTED = 10_000

export default defineOutput({
  summary: 'Writes events to files as NDJSON, JSON arrays or CSV, plain or compressed, durable before they count as delivered',
  description: `
The \`path\` may hold places for an event's values: \`%{event.dataset}\` is a field, \`%{+yyyy-MM-dd}\` the event's \`@timestamp\` in UTC,
\`%{event.created:yyyy/MM}\` another time; \`:-text\` at the end of a place stands in where the field is missing or empty, as in
\`%{user.name:-nobody}\`. Patterns: yyyy YYYY (the same) yy MM dd DDD (day of the year) xxxx and ww (ISO week) HH mm ss SSS; other letters
go between \`'…'\`. A field without a default that an event lacks makes that event a dead letter, and so does a value that is no plain
name: events choose names below the folder before the first place and never leave it. A value with \`/\`, \`\\\`, \`:\` or a control
character, \`..\`, a name of more than 255 bytes, and links that lead out of the folder are refused ("path leaves …").

Each batch is appended and synced before it counts as delivered. After a crash the unfinished last line of the files that were in use
is cut off at the next start; bytes that Penstock did not write are never cut. With a full disk, the batch is taken back and tried
again until there is room. With \`compression\` each batch is one gzip member or zstd frame of its own, so that all that was delivered can
be read at any time: larger batches compress better.

A file is rotated before it would grow beyond \`rotate_bytes\` (a compressed batch is never split) and when a period of \`rotate_ms\` is over
(3600000: at each full hour, UTC). It then gets the time into its name, \`audit.20260501T101530Z-0001.ndjson\`, and a new \`audit.ndjson\`
begins: \`tail -F\` goes on, and names sort by age with the file in use last. Files that another program moves, removes or truncates
(logrotate) are opened anew.

With \`format: json\` each file is one array, an element a line. A batch is written over the closing bracket, in one call and with a new
bracket at its end: the array is whole whenever a batch counts as delivered, when the file is rotated, and when Penstock has ended. A
reader that comes in the midst of a batch, or after a crash in the midst of one, may find it open; the next start closes it behind the
last whole element. It may be compressed: the bracket is then a member of its own.

With \`format: csv\` (RFC 4180, UTF-8, rows end in CR LF) each file has one header, also after a restart: a file with other columns gets
another name, as at a rotation, and a new one begins. Objects and lists are written as JSON, a field that an event lacks as an empty
cell. After a crash the rows are read from a place that is known to lie between two of them, so that a line end within a cell is not
taken for the end of a row. Because log records are written by strangers, text that begins with \`=\`, \`+\`, \`-\`, \`@\`, a tab or a line
end gets a \`'\` before it, which keeps a spreadsheet from running it as a formula; numbers are left as they are, and so is everything
with \`csv_escape_formulas: false\`. A NUL character is written as ␀.`,
  options: {
    path: {
      type: 'string',
      required: true,
      minLength: 1,
      description: 'File to write, from the working folder; may hold `%{field}` and `%{+yyyy-MM-dd}` below a literal folder',
    },
    ...FORMAT_OPTIONS,
    compression: {
      type: 'string',
      enum: ['none', 'gzip', 'zstd'],
      default: 'none',
      description: 'Packs each batch; let the path end in .gz or .zst then',
    },
    rotate_bytes: { type: 'integer', minimum: 1024, description: 'Rotates a file before it grows beyond this many bytes' },
    rotate_ms: {
      type: 'integer',
      minimum: 1000,
      description: 'Rotates when a period of this length ends, counted from 1970 in UTC',
    },
    fsync: {
      type: 'boolean',
      default: true,
      description: 'Waits until a batch has reached the disk; false is faster, and a power cut may lose delivered events',
    },
    mode: { type: 'string', pattern: '^0?[0-7]{3}$', default: '0640', description: 'Mode of new files, in octal between quotes' },
    max_open_files: {
      type: 'integer',
      minimum: 1,
      default: 64,
      description: 'Files held open at once; the least recently used is closed for another',
    },
  },
  batch: { max_events: 10_000, max_bytes: 2 * 1024 * 1024, max_ms: 200 },
  examples: [
    { path: 'out/audit.ndjson' },
    { path: 'out/%{event.dataset:-unknown}/%{+yyyy-MM-dd}.ndjson.gz', compression: 'gzip', rotate_bytes: 100_000_000 },
    {
      path: 'out/signins-%{+yyyy-MM}.csv',
      format: 'csv',
      columns: ['@timestamp', 'user.name', { name: 'address', field: 'source.ip' }, 'event.outcome'],
    },
  ],
  create(options, site) {
    const rotates = options.rotate_bytes !== undefined || options.rotate_ms !== undefined || options.compression !== 'none'
    const format = formatOf(options)
    // A file of another layout is set aside too.
    const path = compile(options.path, 'path', pathRules(rotates || format.name !== 'ndjson' ? ASIDE_BYTES : 0))
    const fixed = path.fields.length === 0 ? resolve(site.folder, path.text) : undefined
    if (fixed !== undefined && (path.text.endsWith('/') || basename(fixed) === '')) {
      throw new OptionError('path', `"${path.text}" is a folder; name a file, such as ${path.text}events.ndjson`)
    }
    const settings: FileSettings = {
      base: fixed === undefined ? resolve(site.folder, folderOf(path.literalPrefix)) : dirname(fixed),
      chosen: fixed === undefined,
      compression: options.compression,
      layout: layoutOf(format, options.compression),
      rotateBytes: options.rotate_bytes,
      rotateMs: options.rotate_ms,
      fsync: options.fsync,
      mode: Number.parseInt(options.mode, 8),
      maxOpen: options.max_open_files,
    }
    const address = addressBook()
    let files: FileSet | undefined
    const written = new Set<string>()
    let bytes = 0
    let events = 0

    const output: Output = {
      encode(event, to) {
        const found = fixed === undefined ? address(path.render(event.fields)) : undefined
        format.encode(event.fields, to)
        return found
      },
      async open(context) {
        files = new FileSet(settings, context, disk)
        await files.start(fixed)
      },
      async write(items, reject) {
        if (!files) throw new Error('the output is not open')
        const refused = new Set<Same>()
        const same = byDestination(items, fixed !== undefined)
        const groups = same.map(one => ({
          path: fixed ?? resolve(site.folder, one.to ?? ''),
          items: one.items,
          refuse(error: Error) {
            refused.add(one)
            for (const index of one.indices) reject(index, error)
          },
        }))
        bytes += await files.write(groups)
        for (const one of same) {
          if (refused.has(one)) continue
          events += one.items.length
          if (written.size < COUNTED) written.add(one.to ?? path.text)
        }
      },
      async close() {
        await files?.close()
      },
      summary() {
        const [only] = written
        const files: [string, string | number] = written.size === 1 ? ['file', only as string] : ['files', written.size]
        return { title: `File output ${site.id}`, rows: [files, ['events', events], ['bytes', bytes]] }
      },
    }
    return output
  },
})
