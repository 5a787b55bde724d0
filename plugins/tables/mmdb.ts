// MMDB databases as a table: address → the record as the database has it.
import { defineTable } from '../../core/plugin/define.ts'
import { PenstockError } from '../../core/plugin/errors.ts'
import { loadMmdb, mmdbView } from '../lib/mmdb.ts'

export default defineTable({
  summary: 'Looks addresses up in an MMDB database (MaxMind, DB-IP, IPinfo and others)',
  description:
    'The key is an IPv4 or IPv6 address, the row is the record as the database holds it. The filter `geoip` uses this table for ' +
    'countries, cities and networks; use it with `enrich` for a database that holds something else. The file is read once, shared ' +
    'by all workers, and read again when it changes; a damaged file is refused, and the old one stays in use.',
  options: {
    path: { type: 'string', format: 'path', required: true, description: 'The database, a file that usually ends in .mmdb' },
    private_addresses: {
      type: 'boolean',
      default: false,
      description: 'Look private, loopback and link-local addresses up too, for a database of your own networks',
    },
  },
  examples: [{ path: 'GeoLite2-Anonymous-IP.mmdb' }],
  create({ path, private_addresses }) {
    return {
      files: [path],
      load: signal => loadMmdb(path, signal),
      view(image) {
        if (!image) throw new PenstockError('PEN_MMDB', `${path} is not loaded yet`)
        return mmdbView(image, private_addresses)
      },
    }
  },
})
