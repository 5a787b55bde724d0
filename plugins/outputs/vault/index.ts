// Keeps what was read, as it was read: compressed, in a file a day, for `penstock remap` to send through another mapping some day.
import { defineOutput } from '../../../core/plugin/define.ts'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Event } from '../../../core/plugin/interfaces.ts'
import { entryOf } from '../../lib/vault/entry.ts'
import file from '../file/index.ts'
import { remapVerb } from './usage.ts'

const UNDATED = 'undated'

export default defineOutput({
  summary: 'Keeps source records compressed in a file a day, for penstock remap',
  description: `
Beside an output that gets documents, this one keeps the records that these were made from: byte for byte as they were read (less what a
filter removed from them for good, such as matched values of DLP), with where they came from. When a mapping is changed, \`penstock remap\` sends a time
range of them through the new one, under the same ids: to a new place, or in the place of the old documents.

Files are \`PATH/yyyy-MM-dd.ndjson.zst\`, by \`@timestamp\` in UTC; what has none lies in \`${UNDATED}\`. Each batch is a frame of its own, so \`zstdcat\` reads
them at any time. An event counts as delivered here when its batch is on the disk. Give this output no \`when\` and no filters that
another output does not have: what does not come here cannot be mapped again.`,
  options: {
    path: { type: 'string', required: true, minLength: 1, description: 'Folder of the vault' },
    rotate_bytes: {
      type: 'integer',
      minimum: 1024,
      default: 1_000_000_000,
      description: 'A file of a day that would grow beyond this many bytes is set aside, and another one begun',
    },
    mode: { type: 'string', pattern: '^0?[0-7]{3}$', default: '0600', description: 'Mode of new files, in octal between quotes' },
  },
  batch: { max_events: 20_000, max_bytes: 2 * 1024 * 1024, max_ms: 1_000 },
  examples: [{ path: 'vault' }, { path: '/var/lib/penstock/vault', rotate_bytes: 200_000_000, mode: '0640' }],
  verbs: { remap: remapVerb },
  create({ path, rotate_bytes, mode }, site) {
    if (path.includes('%{'))
      throw new OptionError('path', `"${path}" must be a folder: the days below it are named by the vault itself`)
    const folder = path.replace(/(?<=.)\/+$/, '')
    const inner = file.create(
      {
        ...{ path: `${folder}/%{+yyyy-MM-dd:-${UNDATED}}.ndjson.zst`, format: 'ndjson', compression: 'zstd' },
        ...{ rotate_bytes, fsync: true, mode, max_open_files: 64 },
      },
      site,
    )
    return {
      ...inner,
      encode: (event, to) => inner.encode({ ...(event as Pick<Event, 'id'>), fields: entryOf(event) } as Event, to),
      summary() {
        const summary = inner.summary?.()
        return summary && { ...(Array.isArray(summary) ? summary[0] : summary), title: `Vault ${site.id}` }
      },
    }
  },
})
